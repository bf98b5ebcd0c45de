/** How soon V8 compiles with optimization; a choice for the whole process, so the library makes none. */

import { setFlagsFromString } from "node:v8";

/**
 * Sixteen times the default. A pull or a scan is over in seconds and keeps all processors busy: optimizing
 * in the background took a fifth of the time of a pull, most of it for code that ran a few times more. One
 * thread alone, as from a dump to an image, leaves a processor to the compiler and is slower with this.
 */
const INTERRUPT_BUDGET = 1_081_344;

/** Lets functions run longer before they are optimized, here and in all threads. */
export function optimizeLater(): void {
  // A V8 that does not know the flag complains on stderr. Newer ones have not, and a compiler between.
  if (!process.versions.node.startsWith("20.")) return;
  setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
}
