/** Enabling fs-verity on a file that was just written. */

import { enableVerity, isErrno } from "../../floor/mod.ts";
import type { Fd, VerityAlgorithm } from "../../floor/mod.ts";

/** How often, and how long in milliseconds, to wait until nobody has the file open for writing. */
const BUSY_TRIES = 20;
const BUSY_WAIT = 5;

/**
 * As `enableVerity`, and waits up to a tenth of a second while another process has the file open for
 * writing: a child that was just forked holds a copy of the writing descriptor until it runs. Throws
 * ETXTBSY or EBUSY if that does not end. Blocks the thread.
 */
export function enableVerityWhenFree(
  fd: Fd,
  algorithm: VerityAlgorithm,
): ReturnType<typeof enableVerity> {
  for (let tries = 1; ; tries++) {
    try {
      return enableVerity(fd, algorithm);
    } catch (error) {
      if (!isErrno(error, "ETXTBSY", "EBUSY") || tries === BUSY_TRIES) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_WAIT);
  }
}
