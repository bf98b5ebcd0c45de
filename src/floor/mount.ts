/**
 * Mounting: the file system context calls of Linux 5.2, `mount_setattr`, and the old `mount(2)`.
 *
 * One function for each call, under its name. The new calls have had the same number on every
 * architecture since 424, and go through `syscall(2)`: glibc has wrappers only since 2.36, musl none.
 * Every descriptor that is made here is close-on-exec. Strings are one byte in each code unit.
 *
 * Source: fsopen(2), fsconfig(2), fsmount(2), move_mount(2), mount_setattr(2), mount(2), umount2(2);
 * Linux include/uapi/linux/mount.h.
 */

import { displayPath, kernelPath } from "./byte-path.ts";
import type { BytePath } from "./byte-path.ts";
import { SyscallError } from "./errors.ts";
import type { Fd } from "./file.ts";
import { FsContextError, takeKernelMessages } from "./mount-log.ts";
import { bindLibc, lastErrno } from "./native.ts";

const NR_MOVE_MOUNT = 429;
const NR_FSOPEN = 430;
const NR_FSCONFIG = 431;
const NR_FSMOUNT = 432;
const NR_MOUNT_SETATTR = 442;

const AT_EMPTY_PATH = 0x1000;
const FSOPEN_CLOEXEC = 0x1;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_SET_FD = 5;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 0x1;
const MOVE_MOUNT_F_EMPTY_PATH = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;

/** Mount attributes for {@link fsmount}. */
export const MOUNT_ATTR_RDONLY = 0x1;
const MOUNT_ATTR_IDMAP = 0x00100000;

/** Flags for {@link mount}. */
export const MS_RDONLY = 0x1;
export const MS_SILENT = 0x8000;

/** Flags for {@link umount2}. */
export const MNT_DETACH = 0x2;
export const UMOUNT_NOFOLLOW = 0x8;

/** The longest string that `fsconfig` takes, in bytes (`strndup_user(value, 256)`). */
export const FSCONFIG_STRING_MAX = 255;

/** `struct mount_attr`: attr_set, attr_clr, propagation, userns_fd, eight bytes each. */
const MOUNT_ATTR_SIZE_VER0 = 32;

const libc = {
  fsopen: bindLibc("long syscall(long number, const char *fsName, unsigned int flags)"),
  fsconfig: bindLibc(
    "long syscall(long number, int fd, unsigned int cmd, const char *key, const void *value, int aux)",
  ),
  fsmount: bindLibc("long syscall(long number, int fd, unsigned int flags, unsigned int attrs)"),
  moveMount: bindLibc(
    "long syscall(long number, int from, const char *fromPath, int to, const char *toPath, unsigned int flags)",
  ),
  mountSetattr: bindLibc(
    "long syscall(long number, int fd, const char *path, unsigned int flags, const void *attr, size_t size)",
  ),
  mount: bindLibc(
    "int mount(const void *source, const void *target, const char *fsName, unsigned long flags, const char *data)",
  ),
  umount2: bindLibc("int umount2(const void *target, int flags)"),
};

/** Opens a context for a file system type; returns a descriptor to be closed by the caller. */
export function fsopen(fsName: string): Fd {
  return checked(libc.fsopen(NR_FSOPEN, fsName, FSOPEN_CLOEXEC), "fsopen", fsName);
}

/** Sets an option without a value. Throws {@link FsContextError}. */
export function fsconfigSetFlag(context: Fd, key: string): void {
  fsconfig(context, FSCONFIG_SET_FLAG, key, undefined, 0);
}

/** Sets an option to a string of at most {@link FSCONFIG_STRING_MAX} bytes. */
export function fsconfigSetString(context: Fd, key: string, value: BytePath): void {
  fsconfig(context, FSCONFIG_SET_STRING, key, value, 0);
}

/** Sets an option to a descriptor; the kernel takes its own reference. */
export function fsconfigSetFd(context: Fd, key: string, fd: Fd): void {
  fsconfig(context, FSCONFIG_SET_FD, key, undefined, fd);
}

/** Makes the super block out of the options that were set. */
export function fsconfigCreate(context: Fd): void {
  fsconfig(context, FSCONFIG_CMD_CREATE, undefined, undefined, 0);
}

function fsconfig(
  context: Fd,
  command: number,
  key: string | undefined,
  value: BytePath | undefined,
  aux: number,
): void {
  const bytes = value === undefined ? null : kernelPath("fsconfig", value);
  if (libc.fsconfig(NR_FSCONFIG, context, command, key ?? null, bytes, aux) < 0) {
    const errno = lastErrno();
    throw new FsContextError("fsconfig", errno, key ?? "create", takeKernelMessages(context));
  }
}

/**
 * Makes a mount of a context's super block. The mount is attached nowhere: it goes when the returned
 * descriptor is closed, unless {@link moveMount} has put it somewhere.
 */
export function fsmount(context: Fd, attributes: number): Fd {
  const fd: Fd = libc.fsmount(NR_FSMOUNT, context, FSMOUNT_CLOEXEC, attributes);
  if (fd < 0) {
    throw new FsContextError("fsmount", lastErrno(), "", takeKernelMessages(context));
  }
  return fd;
}

/** Attaches the mount that `mountFd` stands for on the directory that `targetFd` stands for. */
export function moveMount(mountFd: Fd, targetFd: Fd): void {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  checked(libc.moveMount(NR_MOVE_MOUNT, mountFd, "", targetFd, "", flags), "move_mount");
}

/** Gives a detached mount the ID mapping of a user namespace. */
export function mountSetIdmap(mountFd: Fd, userNamespaceFd: Fd): void {
  const attr = Buffer.alloc(MOUNT_ATTR_SIZE_VER0);
  attr.writeBigUInt64LE(BigInt(MOUNT_ATTR_IDMAP), 0);
  attr.writeBigUInt64LE(BigInt(userNamespaceFd), 24);
  const result: number = libc.mountSetattr(
    NR_MOUNT_SETATTR,
    mountFd,
    "",
    AT_EMPTY_PATH,
    attr,
    attr.length,
  );
  checked(result, "mount_setattr", "idmap");
}

/**
 * The old call: everything at once, options as one comma-separated text of less than a page. The
 * kernel follows `target` to its end, so `/proc/self/fd/N` means what the descriptor stands for.
 */
export function mount(
  source: BytePath,
  target: BytePath,
  fsName: string,
  flags: number,
  options: string,
): void {
  const from = kernelPath("mount", source);
  checked(
    libc.mount(from, kernelPath("mount", target, 1), fsName, flags, options),
    "mount",
    fsName,
  );
}

/** Unmounts what is mounted on top at `target`. */
export function umount2(target: BytePath, flags: number): void {
  checked(libc.umount2(kernelPath("umount", target), flags), "umount", displayPath(target));
}

function checked(result: number, syscall: string, subject = ""): number {
  if (result < 0) throw new SyscallError(syscall, lastErrno(), subject);
  return result;
}
