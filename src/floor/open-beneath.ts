/**
 * Opening what somebody else wrote the names of: nothing outside of a directory can be reached.
 *
 * Source: openat2(2), Linux 5.6; `struct open_how` is flags, mode and resolve, eight bytes each.
 */

import { displayPath, kernelPath } from "./byte-path.ts";
import type { BytePath } from "./byte-path.ts";
import { ERRNO, SyscallError } from "./errors.ts";
import type { Fd } from "./file.ts";
import { bindLibc, lastErrno } from "./native.ts";
import type { NativeFunction } from "./native.ts";

const NR_OPENAT2 = 437;
const OPEN_HOW_SIZE = 24;
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
/** The kernel gives up when something is renamed while it looks. */
const TRIES = 100;

let openat2: NativeFunction | undefined;

/**
 * Opens a path below `dirfd`; an absolute path, `..` and a symlink that lead out of it are the error
 * EXDEV. With `symlinks: "refuse"` any symlink on the way is the error ELOOP. Close-on-exec.
 */
export function openBeneath(
  dirfd: Fd,
  path: BytePath,
  flags: number,
  options: { readonly symlinks?: "follow" | "refuse" } = {},
): Fd {
  openat2 ??= bindLibc(
    "long syscall(long number, int dirfd, const void *path, const void *how, size_t size)",
  );
  const resolve = options.symlinks === "refuse" ? RESOLVE_NO_SYMLINKS : RESOLVE_NO_MAGICLINKS;
  const how = new BigUint64Array([
    BigInt(flags | O_CLOEXEC),
    0n,
    BigInt(RESOLVE_BENEATH | resolve),
  ]);
  const name = kernelPath("open", path);
  for (let tries = 0; ; tries++) {
    const fd: number = openat2(NR_OPENAT2, dirfd, name, how, OPEN_HOW_SIZE);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    const isPassing = errno === ERRNO["EINTR"] || errno === ERRNO["EAGAIN"];
    if (!isPassing || tries === TRIES) throw new SyscallError("open", errno, displayPath(path));
  }
}
