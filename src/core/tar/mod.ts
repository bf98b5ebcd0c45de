/** Tar archives: bytes to events, entries to bytes. See `reader.ts` for what is understood. */

export { TAR_BLOCKSIZE, tarPadding } from "./format.ts";
export type { TarEntry, TarEntryKind } from "./entry.ts";
export { DEFAULT_TAR_LIMITS } from "./limits.ts";
export type { TarLimits } from "./limits.ts";
export { TarReader } from "./reader.ts";
export type { TarEvent, TarReaderOptions } from "./reader.ts";
export type { SparseSegment } from "./sparse.ts";
export { TAR_END, encodeTarHeader } from "./writer.ts";
export type { TarHeaderInput } from "./writer.ts";
