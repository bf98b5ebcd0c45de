/**
 * Why something failed, in the words that people and scripts know from C: `No such file or directory`.
 */

import { ERRNO, SyscallError, describeErrno } from "../../floor/errors.ts";

/** The reason of an error without what was done to what: the caller says that better. */
export function reasonOf(error: unknown): string {
  const errno = errnoOf(error);
  if (errno === undefined) return error instanceof Error ? error.message : String(error);
  const known = C_TEXT.get(errno);
  if (known !== undefined) return known;
  const text = describeErrno(errno);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** strerror(3), where Node's own words differ by more than the first letter. */
const C_TEXT = new Map<number | undefined, string>([
  [ERRNO["EBUSY"], "Device or resource busy"],
  [ERRNO["EIO"], "Input/output error"],
  [ERRNO["EISDIR"], "Is a directory"],
  [ERRNO["ELOOP"], "Too many levels of symbolic links"],
  [ERRNO["EMFILE"], "Too many open files"],
  [ERRNO["ENAMETOOLONG"], "File name too long"],
  [ERRNO["ENOSYS"], "Function not implemented"],
  [ERRNO["EOPNOTSUPP"], "Operation not supported"],
  [ERRNO["EROFS"], "Read-only file system"],
  [ERRNO["EXDEV"], "Invalid cross-device link"],
]);

/** The positive errno of a failed system call, ours or Node's, or of what it caused. */
function errnoOf(error: unknown): number | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof SyscallError) return at.errno;
    const { errno } = at as NodeJS.ErrnoException;
    if (typeof errno === "number") return Math.abs(errno);
  }
  return undefined;
}
