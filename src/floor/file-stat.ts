/**
 * What the kernel knows about a file: a view of the kernel's own `struct statx`.
 *
 * statx(2) has one layout on every architecture, which `struct stat` has not; fields are decoded when
 * they are asked for. Source: include/uapi/linux/stat.h.
 */

/** `STATX_BASIC_STATS`: everything that stat(2) gives. */
export const STATX_BASIC_STATS = 0x7ff;

const STATX_SIZE = 256;

/** One `struct statx`. May be handed in again to be filled anew: then all earlier answers are gone. */
export class FileStat {
  /** The raw structure, for the system call to fill. */
  readonly bytes = new Uint8Array(STATX_SIZE);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #little = LITTLE_ENDIAN;

  /** Type and permission bits. */
  get mode(): number {
    return this.#view.getUint16(0x1c, this.#little);
  }

  get nlink(): number {
    return this.#view.getUint32(0x10, this.#little);
  }

  get uid(): number {
    return this.#view.getUint32(0x14, this.#little);
  }

  get gid(): number {
    return this.#view.getUint32(0x18, this.#little);
  }

  get ino(): bigint {
    return this.#view.getBigUint64(0x20, this.#little);
  }

  /** Bytes; exact up to 2^53. */
  get size(): number {
    return (
      this.#view.getUint32(0x28, this.#little) + this.#view.getUint32(0x2c, this.#little) * 2 ** 32
    );
  }

  get ctimeSec(): bigint {
    return this.#view.getBigInt64(0x60, this.#little);
  }

  get ctimeNsec(): number {
    return this.#view.getUint32(0x68, this.#little);
  }

  get mtimeSec(): bigint {
    return this.#view.getBigInt64(0x70, this.#little);
  }

  get mtimeNsec(): number {
    return this.#view.getUint32(0x78, this.#little);
  }

  /** The device that this device node stands for, in the kernel's 32-bit encoding. */
  get rdev(): number {
    return encodeDevice(
      this.#view.getUint32(0x80, this.#little),
      this.#view.getUint32(0x84, this.#little),
    );
  }

  /** The device that holds the file, in the kernel's 32-bit encoding. */
  get dev(): number {
    return encodeDevice(
      this.#view.getUint32(0x88, this.#little),
      this.#view.getUint32(0x8c, this.#little),
    );
  }

  /**
   * Whether `other` describes the same file in the same state: same inode, size, mode, owner, and
   * times of change of content and of inode.
   */
  isSameStateAs(other: FileStat): boolean {
    return (
      this.#equalWords(other, 0x14, 0x30) && // uid, gid, mode, ino, size
      this.#equalWords(other, 0x60, 0x6c) && // ctime
      this.#equalWords(other, 0x70, 0x7c) && // mtime
      this.#equalWords(other, 0x88, 0x90) // dev
    );
  }

  #equalWords(other: FileStat, from: number, to: number): boolean {
    for (let at = from; at < to; at += 4) {
      if (this.#view.getUint32(at) !== other.#view.getUint32(at)) return false;
    }
    return true;
  }
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The kernel's `new_encode_dev`: 12 bits of major, 20 bits of minor. */
function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
