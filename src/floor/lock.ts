/**
 * Advisory locks on open files, by flock(2): they belong to the open file description, end with its last
 * descriptor, and the kernel drops them when a process dies.
 */

import { ERRNO, SyscallError } from "./errors.ts";
import type { Fd } from "./file.ts";
import { bindLibc, lastErrno } from "./native.ts";

/** `LOCK_*` of include/uapi/asm-generic/fcntl.h. */
const LOCK = { shared: 1, exclusive: 2, none: 8 } as const;
const LOCK_NB = 4;

const libcFlock = bindLibc("int flock(int fd, int operation)");

/**
 * Takes a lock, changes the one that is held, or (`none`) drops it; returns false where another holds one
 * that is in the way. Then, and also while a lock is changed, the earlier one may be lost.
 *
 * With `wait` it returns when the lock is there: this blocks the thread.
 */
export function flock(
  fd: Fd,
  kind: "shared" | "exclusive" | "none",
  options: { readonly wait: boolean },
): boolean {
  const operation = LOCK[kind] | (options.wait ? 0 : LOCK_NB);
  for (;;) {
    if (libcFlock(fd, operation) === 0) return true;
    const errno = lastErrno();
    if (errno === ERRNO["EWOULDBLOCK"]) return false;
    if (errno !== ERRNO["EINTR"]) throw new SyscallError("lock", errno);
  }
}
