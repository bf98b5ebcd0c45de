/** The fs-verity digest of what a file holds now, by reading it. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import { preadFully } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";

/** Reads an open file from its start, a `buffer` at a time; `hasher` can be used again afterwards. */
export function hashOpenFile(fd: Fd, hasher: FsVerityHasher, buffer: Uint8Array): FsVerityDigest {
  for (let at = 0; ;) {
    const count = preadFully(fd, buffer, at);
    hasher.update(buffer.subarray(0, count));
    at += count;
    if (count < buffer.length) return hasher.digest();
  }
}
