/**
 * The entries of a directory, names as raw bytes, through getdents64(2).
 *
 * Source: getdents(2), `struct linux_dirent64`: u64 d_ino, s64 d_off, u16 d_reclen, u8 d_type, name.
 */

import { SyscallError } from "./errors.ts";
import type { BytePath } from "./byte-path.ts";
import type { Fd } from "./file.ts";
import { bindLibc, lastErrno } from "./native.ts";
import type { NativeFunction } from "./native.ts";

/** `d_type`: the type bits of `st_mode`, shifted; 0 where the file system does not tell. */
export const DT = {
  unknown: 0,
  fifo: 1,
  chr: 2,
  dir: 4,
  blk: 6,
  reg: 8,
  lnk: 10,
  sock: 12,
} as const;

/** One entry. */
export interface DirectoryEntry {
  readonly name: BytePath;
  /** One of {@link DT}; trust it only for what to try first. */
  readonly type: number;
}

const D_RECLEN = 16;
const D_TYPE = 18;
const D_NAME = 19;

const buffer = Buffer.alloc(65536);
const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

let getdents64: NativeFunction | undefined;

/** Reads all entries but `.` and `..` of an open directory, in the file system's order. */
export function readDirectory(fd: Fd): DirectoryEntry[] {
  getdents64 ??= bindLibc("int64_t getdents64(int fd, void *buffer, size_t size)");
  const entries: DirectoryEntry[] = [];
  for (;;) {
    const filled: number = getdents64(fd, buffer, buffer.length);
    if (filled < 0) throw new SyscallError("readdir", lastErrno());
    if (filled === 0) return entries;
    for (let at = 0; at < filled; at += view.getUint16(at + D_RECLEN, littleEndian)) {
      const name = buffer.toString("latin1", at + D_NAME, buffer.indexOf(0, at + D_NAME));
      if (name !== "." && name !== "..") entries.push({ name, type: buffer[at + D_TYPE]! });
    }
  }
}
