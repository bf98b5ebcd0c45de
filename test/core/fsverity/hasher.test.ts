import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { computeFsVerityDigest, FsVerityHasher } from "#src/core/mod.ts";
import type { FsVerityAlgorithm } from "#src/core/mod.ts";
import { nodeHash } from "../../support/hash.ts";

const VECTORS: [name: string, data: Uint8Array, algorithm: FsVerityAlgorithm, digest: string][] = [
  [
    "hello world",
    Buffer.from("hello world"),
    "sha256",
    "1e2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64",
  ],
  [
    "hello world",
    Buffer.from("hello world"),
    "sha512",
    "18430270729d162d4e469daca123ae61893db4b0583d8f7081e3bf4f92b88ba514e7982f10733fb6aa895195c5ae8fd2eb2c47a8be05513ce5a0c51a6f570409",
  ],
  [
    "nothing",
    new Uint8Array(0),
    "sha256",
    "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
  ],
  [
    "nothing",
    new Uint8Array(0),
    "sha512",
    "ccf9e5aea1c2a64efa2f2354a6024b90dffde6bbc017825045dce374474e13d10adb9dadcc6ca8e17a3c075fbd31336e8f266ae6fa93a6c3bed66f9e784e5abf",
  ],
  [
    "4095 zeros",
    new Uint8Array(4095),
    "sha256",
    "5372beb83c78537c8970c8361e3254119fafdf1763854ecd57d3f0fe2da7c719",
  ],
  [
    "4096 zeros",
    new Uint8Array(4096),
    "sha256",
    "babc284ee4ffe7f449377fbf6692715b43aec7bc39c094a95878904d34bac97e",
  ],
  [
    "4097 zeros",
    new Uint8Array(4097),
    "sha256",
    "093756e4ea9683329106d4a16982682ed182c14bf076463a9e7f97305cbac743",
  ],
];

describe("computeFsVerityDigest", () => {
  test.each(VECTORS)("gives the published digest of %s", (_name, data, algorithm, digest) => {
    expect(computeFsVerityDigest(data, nodeHash(algorithm))).toBe(digest);
  });

  test("refuses a block size that the kernel has not", () => {
    expect(() =>
      computeFsVerityDigest(new Uint8Array(1), nodeHash("sha256"), { blockSize: 4095 }),
    ).toThrow(RangeError);
  });
});

describe("FsVerityHasher", () => {
  // Every boundary of the tree: a block, 128 blocks (one block of hashes), 128^2 blocks and one over.
  const sizes = [
    1,
    4095,
    4096,
    4097,
    8192,
    31 * 4096,
    32 * 4096,
    32 * 4096 + 1,
    128 * 4096,
    128 * 4096 + 1,
    129 * 4096,
    4 * 128 * 4096 + 5,
    128 * 128 * 4096 + 1,
  ];

  test.each(sizes)("gives the same digest for %i bytes however they are cut", (size) => {
    const data = new Uint8Array(size);
    for (let i = 0; i < size; i += 1 + (i >> 8)) data[i] = i * 7;
    const whole = referenceDigest(data, "sha256");
    expect(computeFsVerityDigest(data, nodeHash("sha256"))).toBe(whole);
    for (const piece of [1000, 4096, 65536, 131072 + 3]) {
      const hasher = new FsVerityHasher(nodeHash("sha256"));
      for (let at = 0; at < size; at += piece) hasher.update(data.subarray(at, at + piece));
      expect(hasher.digest(), `pieces of ${piece}`).toBe(whole);
    }
  });
});

describe("FsVerityHasher.digest", () => {
  test("leaves the hasher as new for the next file, whatever the sizes before", () => {
    const sizes = [600_000, 0, 1, 4096 * 129, 4096, 4097, 0, 300_000, 5];
    const hasher = new FsVerityHasher(nodeHash("sha256"));
    for (const size of sizes) {
      const data = new Uint8Array(size).fill(size % 251);
      hasher.update(data);
      expect(hasher.digest(), `${size} bytes`).toBe(
        computeFsVerityDigest(data, nodeHash("sha256")),
      );
    }
  });

  test.each([1024, 2048, 16384, 65536])("works with blocks of %i bytes", (blockSize) => {
    const hashesInBlock = blockSize / 64;
    for (const blocks of [1, 2, hashesInBlock, hashesInBlock + 1]) {
      for (const size of [blocks * blockSize, blocks * blockSize - 1]) {
        const data = new Uint8Array(size).fill(7);
        expect(computeFsVerityDigest(data, nodeHash("sha512"), { blockSize })).toBe(
          referenceDigest(data, "sha512", blockSize),
        );
      }
    }
  });
});

/** A second, simple implementation: whole levels in memory. */
function referenceDigest(data: Uint8Array, algorithm: FsVerityAlgorithm, blockSize = 4096): string {
  const hashAll = (level: Uint8Array): Uint8Array => {
    const out: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += blockSize) {
      const block = new Uint8Array(blockSize);
      block.set(level.subarray(at, at + blockSize));
      out.push(hash(algorithm, block, "buffer"));
    }
    return Buffer.concat(out);
  };
  let level = hashAll(data);
  const size = algorithm === "sha256" ? 32 : 64;
  while (level.length > size) level = hashAll(level);
  const descriptor = Buffer.alloc(256);
  descriptor.set([1, algorithm === "sha256" ? 1 : 2, Math.log2(blockSize)]);
  descriptor.writeBigUInt64LE(BigInt(data.length), 8);
  descriptor.set(level, 16);
  return hash(algorithm, descriptor, "hex");
}
