/**
 * Locks as fcntl(2) has them, which Go programs use: podman's do not see those of flock(2).
 *
 * Source: fcntl(2), "Open file description locks"; `struct flock` of 64-bit Linux: l_type and l_whence, two
 * bytes each, l_start at 8, l_len at 16, l_pid at 24.
 */

import { ERRNO, SyscallError } from "./errors.ts";
import type { Fd } from "./file.ts";
import { bindLibc, lastErrno } from "./native.ts";
import type { NativeFunction } from "./native.ts";

const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const STRUCT_FLOCK_SIZE = 32;

let fcntl: NativeFunction | undefined;

/**
 * Locks a whole file for reading, until its descriptor is closed. Returns `false` where somebody has it
 * locked for writing; does not wait.
 */
export function tryReadLock(fd: Fd): boolean {
  fcntl ??= bindLibc("int fcntl(int fd, int cmd, void *lock)");
  const lock = new Uint8Array(STRUCT_FLOCK_SIZE);
  new Int16Array(lock.buffer)[0] = F_RDLCK;
  if (fcntl(fd, F_OFD_SETLK, lock) === 0) return true;
  const errno = lastErrno();
  if (errno === ERRNO["EAGAIN"] || errno === ERRNO["EACCES"]) return false;
  throw new SyscallError("lock", errno);
}
