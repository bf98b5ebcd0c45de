/**
 * Ctrl-C and friends during long work: the first one asks the work to stop and clean up, the second
 * ends the process as if nobody had listened.
 */

import { Interrupted } from "./exit.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Runs `work` with a signal that is aborted when the user wants to stop; throws `Interrupted` then. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSignal = () => {
    stopListening();
    controller.abort(new Interrupted());
  };
  const stopListening = () => {
    for (const name of SIGNALS) process.off(name, onSignal);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    return await work(controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? new Interrupted() : error;
  } finally {
    stopListening();
  }
}
