/**
 * Hashes many independent blocks in one call, with the fastest way that this machine has.
 *
 * The pure way is `crypto.hash` once a block: it is always there and needs nothing built. The others
 * are paths of the accelerator in native/, which hashes several blocks at a time, chosen by what the
 * processor can do. All give the same bytes.
 */

import { hash } from "node:crypto";
import { loadAccelerator } from "./accelerator.ts";
import type { AcceleratorPath } from "./accelerator.ts";

/** A hash function over many independent blocks; structurally the `BlockHash` of core. */
export interface PlatformBlockHash {
  readonly algorithm: "sha256" | "sha512";
  /** How the blocks are hashed here. */
  readonly way: BlockHashWay;
  /**
   * Hashes each of the `blocks.length / blockSize` whole blocks in `blocks` and writes the digests
   * one after the other to the start of `out`, which is large enough and does not overlap `blocks`.
   */
  hashBlocks(blocks: Uint8Array, blockSize: number, out: Uint8Array): void;
}

/** `pure` is `crypto.hash`; the rest are the processor's instructions that the accelerator uses. */
export type BlockHashWay = "pure" | AcceleratorPath;

const DIGEST_SIZE = { sha256: 32, sha512: 64 } as const;

/**
 * Fewer blocks than this are faster with `crypto.hash` than in lanes, where one block takes as long
 * as all lanes together: measured 12 µs against 5 a block (SHA-512, Zen 4).
 */
const FEWEST_BLOCKS_FOR_LANES = 3;

/**
 * Returns the fastest hash of blocks that this machine has. It keeps no state: share it freely.
 *
 * `wanted` is for tests and for finding faults: a way by its name, or `native` for any but `pure`.
 * It comes from the environment variable `COMPOSEFS_HASH` unless given, so that worker threads and
 * programs that use the library hear it too. Throws a `RangeError` where this machine has no such way.
 */
export function blockHash(
  algorithm: "sha256" | "sha512",
  wanted: string = process.env["COMPOSEFS_HASH"] ?? "",
): PlatformBlockHash {
  const ways = blockHashWays(algorithm);
  const way = ways.find((one) =>
    wanted === "" ? true : wanted === "native" ? one !== "pure" : one === wanted,
  );
  if (way === undefined) {
    throw new RangeError(
      `Cannot hash blocks the way "${wanted}": this machine has ${ways.join(", ")}`,
    );
  }
  return way === "pure" ? pureBlockHash(algorithm) : acceleratedBlockHash(algorithm, way);
}

/** Returns the ways of this machine, the fastest first; the last one is always `pure`. */
export function blockHashWays(algorithm: "sha256" | "sha512"): BlockHashWay[] {
  return [...(loadAccelerator()?.paths(algorithm) ?? []), "pure"];
}

function pureBlockHash(algorithm: "sha256" | "sha512"): PlatformBlockHash {
  const digestSize = DIGEST_SIZE[algorithm];
  return {
    algorithm,
    way: "pure",
    hashBlocks(blocks, blockSize, out) {
      const target = Buffer.from(out.buffer, out.byteOffset, out.byteLength);
      for (let at = 0, to = 0; at < blocks.length; at += blockSize, to += digestSize) {
        // A one-byte string is 15 % faster over 4096-byte blocks than a Buffer for each digest.
        const digest = hash(algorithm, blocks.subarray(at, at + blockSize), "binary");
        target.write(digest, to, "binary");
      }
    },
  };
}

function acceleratedBlockHash(
  algorithm: "sha256" | "sha512",
  path: AcceleratorPath,
): PlatformBlockHash {
  const accelerator = loadAccelerator()!;
  const lanes = accelerator.lanes(algorithm, path);
  const run = accelerator.hashBlocks(algorithm, path);
  const pure = pureBlockHash(algorithm);
  const digestSize = DIGEST_SIZE[algorithm];
  return {
    algorithm,
    way: path,
    hashBlocks(blocks, blockSize, out) {
      const count = blocks.length / blockSize;
      const rest = lanes === 1 ? 0 : count % lanes;
      const few = rest < FEWEST_BLOCKS_FOR_LANES ? rest : 0;
      const many = count - few;
      if (many > 0) run(blocks, many, blockSize, out);
      if (few > 0) {
        pure.hashBlocks(
          blocks.subarray(many * blockSize),
          blockSize,
          out.subarray(many * digestSize),
        );
      }
    },
  };
}
