/**
 * What a tar archive may cost: a hostile one is small on the wire and large in memory.
 */

/** Limits of a {@link TarReader}; each is checked before the memory is spent. */
export interface TarLimits {
  /** Entries, extension headers not counted. */
  readonly entries: number;
  /** Bytes of a path or link target. */
  readonly pathLength: number;
  /** Bytes of one extension: the records of a PAX header, a GNU long name. */
  readonly extensionSize: number;
  /** Bytes of the names and values of all xattrs of one entry. */
  readonly xattrSize: number;
  /** Pieces of data of one sparse file. */
  readonly sparseSegments: number;
  /** Bytes of headers, extensions, padding and what follows the end: all that is not content. */
  readonly rawSize: number;
}

/** The limits unless told otherwise: far above any image in use, and under 3 GiB of memory. */
export const DEFAULT_TAR_LIMITS: TarLimits = {
  entries: 4_000_000,
  pathLength: 4095,
  extensionSize: 1 << 20,
  xattrSize: 1 << 18,
  sparseSegments: 1 << 18,
  rawSize: 2 ** 31,
};
