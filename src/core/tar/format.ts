/**
 * The tar header block and the type flags.
 *
 * Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Interchange Format"; GNU tar manual,
 * "Basic Tar Format" and "Storing Sparse Files". Names of the fields are theirs.
 */

/** Bytes of a header, and what content is padded to. */
export const TAR_BLOCKSIZE = 512;

/** Where a field of the header block lies. */
export interface FieldPlace {
  readonly at: number;
  readonly length: number;
}

/** Fields of the header block. */
export const TAR_HEADER = {
  name: { at: 0, length: 100 },
  mode: { at: 100, length: 8 },
  uid: { at: 108, length: 8 },
  gid: { at: 116, length: 8 },
  size: { at: 124, length: 12 },
  mtime: { at: 136, length: 12 },
  chksum: { at: 148, length: 8 },
  typeflag: { at: 156, length: 1 },
  linkname: { at: 157, length: 100 },
  /** `magic` and `version` in one: ustar is "ustar\0" and two digits, GNU "ustar  \0". */
  magic: { at: 257, length: 8 },
  uname: { at: 265, length: 32 },
  gname: { at: 297, length: 32 },
  devmajor: { at: 329, length: 8 },
  devminor: { at: 337, length: 8 },
  /** Of ustar alone: GNU keeps other things here. */
  prefix: { at: 345, length: 155 },
} as const satisfies Record<string, FieldPlace>;

/** Fields of a GNU header of type `S`, in the place of `prefix`. */
export const OLD_GNU_SPARSE = {
  /** Four pairs of offset and length, 12 bytes each. */
  map: { at: 386, length: 96 },
  isextended: { at: 482, length: 1 },
  realsize: { at: 483, length: 12 },
} as const satisfies Record<string, FieldPlace>;

/** A block that goes on with the map of {@link OLD_GNU_SPARSE}. */
export const OLD_GNU_SPARSE_EXTENSION = {
  /** 21 pairs. */
  map: { at: 0, length: 504 },
  isextended: { at: 504, length: 1 },
} as const satisfies Record<string, FieldPlace>;

/** Type flags, as characters. */
export const TYPEFLAG = {
  /** Before POSIX: a file, or a directory when the name ends in a slash. */
  AREGTYPE: "\0",
  REGTYPE: "0",
  LNKTYPE: "1",
  SYMTYPE: "2",
  CHRTYPE: "3",
  BLKTYPE: "4",
  DIRTYPE: "5",
  FIFOTYPE: "6",
  CONTTYPE: "7",
  XHDTYPE: "x",
  XGLTYPE: "g",
  GNUTYPE_LONGNAME: "L",
  GNUTYPE_LONGLINK: "K",
  GNUTYPE_SPARSE: "S",
} as const;

/** Bytes from the end of `size` bytes of content to the next header. */
export function tarPadding(size: number): number {
  return (TAR_BLOCKSIZE - (size % TAR_BLOCKSIZE)) % TAR_BLOCKSIZE;
}
