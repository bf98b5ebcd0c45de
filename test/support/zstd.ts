/** zstd for tests: the system's library, and a decoder of frames that are not compressed. */

import type { Decompression } from "#src/core/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import type { Zstd } from "#src/floor/mod.ts";

/** libzstd, by way of the system's library; `undefined` where there is none. */
export async function findLibzstd(): Promise<Zstd | undefined> {
  try {
    return await loadZstd("libzstd");
  } catch {
    return undefined;
  }
}

/** Decodes frames of raw and run-length blocks (RFC 8878, section 3.1.1), in pieces of 100 bytes. */
export const storedZstd: Decompression = {
  *decompress(compressed) {
    const bytes = Buffer.concat([...compressed]);
    let at = 0;
    const take = (length: number): Buffer => {
      if (at + length > bytes.length) throw new Error("frame is cut");
      at += length;
      return bytes.subarray(at - length, at);
    };
    while (at < bytes.length) {
      if (take(4).readUInt32LE() !== 0xfd2fb528) throw new Error("no zstd magic");
      const isEmpty = take(1)[0] === 0x20;
      if (take(1)[0] !== (isEmpty ? 0 : 0x58)) throw new Error("unexpected frame header");
      for (let isLast = false; !isLast;) {
        const blockHeader = take(3).readUIntLE(0, 3);
        isLast = (blockHeader & 1) === 1;
        const type = (blockHeader >> 1) & 3;
        const size = blockHeader >> 3;
        if (type > 1 || size > 1 << 17) throw new Error("unexpected block");
        const content = type === 0 ? take(size) : Buffer.alloc(size, take(1));
        for (let i = 0; i < content.length; i += 100) yield content.subarray(i, i + 100);
      }
    }
  },
};
