/**
 * Loop devices: a file as a read-only block device, for kernels that cannot mount EROFS from a file.
 *
 * A device goes free by itself when its last user goes (LO_FLAGS_AUTOCLEAR), so closing the returned
 * descriptor is all the cleaning up there is, also when the process dies.
 *
 * Source: loop(4); Linux include/uapi/linux/loop.h, drivers/block/loop.c. LOOP_CONFIGURE is Linux 5.8.
 */

import { SyscallError, isErrno } from "./errors.ts";
import { AT_FDCWD, O_RDWR, close, openat } from "./file.ts";
import type { Fd } from "./file.ts";
import { bindLibc, lastErrno } from "./native.ts";

const LOOP_CTL_GET_FREE = 0x4c82;
const LOOP_CONFIGURE = 0x4c0a;
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
const LO_FLAGS_DIRECT_IO = 16;

/** `struct loop_config`: fd, block_size, `struct loop_info64` from byte 8, 64 reserved bytes. */
const LOOP_CONFIG = { fd: 0, blockSize: 4, flags: 8 + 52, size: 8 + 232 + 64 } as const;

const libcIoctl = bindLibc("int ioctl(int fd, unsigned long request, void *argument)");

/** How often another process may take the free device first before we give up. */
const ATTEMPTS = 32;

/** A loop device with its file attached. */
export interface LoopDevice {
  /** Keeps the device; whoever mounts it may close this then. */
  readonly fd: Fd;
  /** `/dev/loopN`. */
  readonly path: string;
}

/** Attaches a file read-only to a free loop device, in blocks of `blockSize` bytes. */
export function attachLoopDevice(file: Fd, blockSize: number): LoopDevice {
  for (let attempt = 1; ; attempt++) {
    try {
      return attachTo(freeDevice(), file, blockSize);
    } catch (error) {
      // Between "N is free" and "N is ours" any other process may have come.
      if (!isErrno(error, "EBUSY") || attempt === ATTEMPTS) throw error;
    }
  }
}

function freeDevice(): string {
  const control = openat(AT_FDCWD, "/dev/loop-control", O_RDWR);
  try {
    return `/dev/loop${ioctl(control, LOOP_CTL_GET_FREE, "LOOP_CTL_GET_FREE", null)}`;
  } finally {
    close(control);
  }
}

function attachTo(path: string, file: Fd, blockSize: number): LoopDevice {
  const config = Buffer.alloc(LOOP_CONFIG.size);
  config.writeUInt32LE(file, LOOP_CONFIG.fd);
  config.writeUInt32LE(blockSize, LOOP_CONFIG.blockSize);
  // Direct I/O saves a second copy in the page cache. Where the file system has none, the kernel
  // drops the flag without a word (seen on ramfs, Linux 6.18).
  const flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
  config.writeUInt32LE(flags, LOOP_CONFIG.flags);
  const fd = openat(AT_FDCWD, path, O_RDWR);
  try {
    ioctl(fd, LOOP_CONFIGURE, "LOOP_CONFIGURE", config);
  } catch (error) {
    close(fd);
    throw error;
  }
  return { fd, path };
}

function ioctl(fd: Fd, request: number, name: string, argument: Uint8Array | null): number {
  const result: number = libcIoctl(fd, request, argument);
  if (result < 0) throw new SyscallError("ioctl", lastErrno(), name);
  return result;
}
