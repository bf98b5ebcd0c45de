import { expect, test } from "vitest";
import {
  FsVerityRangeHasher,
  computeFsVerityDigest,
  digestOfUnits,
  rangeUnit,
} from "#src/core/mod.ts";
import { blockHash } from "#src/floor/mod.ts";

/** The digest by way of units. */
function digestByUnits(
  data: Uint8Array,
  algorithm: "sha256" | "sha512",
  blockSize: number,
): string {
  const hash = blockHash(algorithm);
  const hasher = new FsVerityRangeHasher(hash, { blockSize });
  const { unit } = hasher;
  const digestSize = algorithm === "sha256" ? 32 : 64;
  const hashes = new Uint8Array(Math.ceil(data.length / unit) * digestSize);
  const buffer = new Uint8Array(unit);
  for (let at = 0; at < data.length; at += unit) {
    const part = data.subarray(at, at + unit);
    buffer.fill(0xa5);
    buffer.set(part);
    hasher.hashUnit(buffer, part.length, hashes.subarray((at / unit) * digestSize));
  }
  return digestOfUnits(hash, data.length, hashes, { blockSize });
}

for (const algorithm of ["sha256", "sha512"] as const) {
  for (const blockSize of [1024, 4096]) {
    test(`digestOfUnits: the same as of the whole, ${algorithm}, blocks of ${blockSize}`, () => {
      const unit = rangeUnit(blockHash(algorithm), { blockSize });
      const sizes = [
        blockSize + 1,
        unit - 1,
        unit,
        unit + 1,
        2 * unit + blockSize,
        5 * unit - blockSize + 7,
        (blockSize / 16 + 1) * unit + 3,
      ];
      for (const size of sizes.filter((each) => each < 1 << 25)) {
        const data = new Uint8Array(size);
        for (let i = 0; i < size; i += 509) data[i] = i * 31;
        expect(digestByUnits(data, algorithm, blockSize)).toBe(
          computeFsVerityDigest(data, blockHash(algorithm), { blockSize }),
        );
      }
    });
  }
}
