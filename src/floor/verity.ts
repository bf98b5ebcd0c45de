/**
 * fs-verity and reflinks: the ioctls of a backing file.
 *
 * Conditions that a caller must tell apart are return values, everything else throws.
 * Source: include/uapi/linux/fsverity.h, include/uapi/linux/fs.h.
 */

import { ERRNO, SyscallError } from "./errors.ts";
import type { Fd } from "./file.ts";
import { bindLibc, lastErrno } from "./native.ts";

/** `hash_algorithm` numbers of the kernel. */
const FS_VERITY_HASH_ALG = { sha256: 1, sha512: 2 } as const;

/** The hash functions that fs-verity has. */
export type VerityAlgorithm = keyof typeof FS_VERITY_HASH_ALG;

const FICLONE = 0x40049409;
const FS_IOC_ENABLE_VERITY = 0x40806685;
const FS_IOC_MEASURE_VERITY = 0xc0046686;

const ENABLE_ARG_SIZE = 128;
const MEASURE_HEADER_SIZE = 4;
const MAX_DIGEST_SIZE = 64;

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const ioctlPointer = bindLibc("int ioctl(int fd, unsigned long request, void *argument)");
const ioctlFd = bindLibc("int ioctl(int fd, unsigned long request, long argument)");

/** Whether `errno` says "not on this file system", as opposed to "not this file". */
function isUnsupported(errno: number): boolean {
  return errno === ERRNO["EOPNOTSUPP"] || errno === ERRNO["ENOTTY"];
}

/**
 * Makes a file immutable with fs-verity. `fd` is open for reading, and no descriptor anywhere may
 * be open for writing: that is the error ETXTBSY. The kernel reads the whole file.
 *
 * Returns "already" if the file has fs-verity, with whatever parameters; "unsupported" if the file
 * system (or the kernel) has none.
 */
export function enableVerity(
  fd: Fd,
  algorithm: VerityAlgorithm,
  options: { readonly blockSize?: number } = {},
): "enabled" | "already" | "unsupported" {
  const argument = new Uint8Array(ENABLE_ARG_SIZE);
  const view = new DataView(argument.buffer);
  view.setUint32(0, 1, LITTLE_ENDIAN); // version
  view.setUint32(4, FS_VERITY_HASH_ALG[algorithm], LITTLE_ENDIAN);
  view.setUint32(8, options.blockSize ?? 4096, LITTLE_ENDIAN);
  for (;;) {
    if (ioctlPointer(fd, FS_IOC_ENABLE_VERITY, argument) === 0) return "enabled";
    const errno = lastErrno();
    if (errno === ERRNO["EINTR"]) continue;
    if (errno === ERRNO["EEXIST"]) return "already";
    if (isUnsupported(errno)) return "unsupported";
    throw new SyscallError("enable fs-verity", errno);
  }
}

/** Asks the kernel for a file's fs-verity digest; `undefined` if the file has no fs-verity. */
export function measureVerity(
  fd: Fd,
): { readonly algorithm: VerityAlgorithm; readonly digest: Uint8Array } | undefined {
  const argument = new Uint8Array(MEASURE_HEADER_SIZE + MAX_DIGEST_SIZE);
  const view = new DataView(argument.buffer);
  view.setUint16(2, MAX_DIGEST_SIZE, LITTLE_ENDIAN);
  if (ioctlPointer(fd, FS_IOC_MEASURE_VERITY, argument) !== 0) {
    const errno = lastErrno();
    if (errno === ERRNO["ENODATA"] || isUnsupported(errno)) return undefined;
    throw new SyscallError("measure fs-verity", errno);
  }
  const number = view.getUint16(0, LITTLE_ENDIAN);
  const size = view.getUint16(2, LITTLE_ENDIAN);
  for (const algorithm of ["sha256", "sha512"] as const) {
    if (FS_VERITY_HASH_ALG[algorithm] === number) {
      const digest = argument.slice(MEASURE_HEADER_SIZE, MEASURE_HEADER_SIZE + size);
      return { algorithm, digest };
    }
  }
  throw new SyscallError("measure fs-verity", ERRNO["EINVAL"]!);
}

/**
 * Makes `to` share all extents of `from`. Returns false where the two cannot share: another file
 * system, one without reflinks, a file that is not on a block boundary.
 */
export function cloneFile(from: Fd, to: Fd): boolean {
  if (ioctlFd(to, FICLONE, from) === 0) return true;
  const errno = lastErrno();
  const cannot = ["EXDEV", "EINVAL", "EPERM", "ETXTBSY", "ENOSYS"];
  if (isUnsupported(errno) || cannot.some((name) => ERRNO[name] === errno)) return false;
  throw new SyscallError("reflink", errno);
}
