/** How fast blocks are hashed on one core: each way of this machine against `crypto.hash`. */

import { hash } from "node:crypto";
import { blockHash, blockHashWays } from "#src/floor/mod.ts";
import { median } from "./statistics.ts";

const BLOCK_SIZE = 4096;
/** 32 MiB: what a scan hashes comes from memory, not from the processor's cache. */
const BLOCKS = 8192;
const BATCH = 256;
const ROUNDS = 9;

/** The speed of one way. */
export interface HashingSpeed {
  readonly algorithm: "sha256" | "sha512";
  readonly way: string;
  /** Median, in bytes per second. */
  readonly speed: number;
  /** Median of the ratios to `crypto.hash` of the same round: over 1 is faster. */
  readonly factor: number;
}

type HashAll = (blocks: Uint8Array, out: Uint8Array) => void;

/** Measures every way, in turn. */
export function measureHashing(): HashingSpeed[] {
  const blocks = new Uint8Array(BLOCKS * BLOCK_SIZE);
  for (let i = 0; i < blocks.length; i++) blocks[i] = Math.imul(i, 0x9e3779b1) >>> 13;
  return (["sha256", "sha512"] as const).flatMap((algorithm) =>
    measureAlgorithm(algorithm, blocks),
  );
}

function measureAlgorithm(algorithm: "sha256" | "sha512", blocks: Uint8Array): HashingSpeed[] {
  const out = new Uint8Array(BLOCKS * 64);
  const contestants: [way: string, run: HashAll][] = [
    ["crypto.hash per block", byCryptoHash(algorithm)],
    ["crypto.hash, one message", (data) => void hash(algorithm, data, "buffer")],
    ...blockHashWays(algorithm).map((way): [string, HashAll] => [way, byWay(algorithm, way)]),
  ];
  const times = contestants.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [, run]] of contestants.entries()) {
      // Time of the processor, not of the wall: others on the machine do not count.
      const start = process.cpuUsage();
      run(blocks, out);
      const { user, system } = process.cpuUsage(start);
      times[index]!.push((user + system) / 1e6);
    }
  }
  return contestants.map(([way], index) => ({
    algorithm,
    way,
    speed: blocks.length / median(times[index]!),
    factor: median(times[index]!.map((seconds, round) => times[0]![round]! / seconds)),
  }));
}

/** As anyone would write it. */
function byCryptoHash(algorithm: "sha256" | "sha512"): HashAll {
  const digestSize = algorithm === "sha256" ? 32 : 64;
  return (blocks, out) => {
    for (let i = 0; i < BLOCKS; i++) {
      const block = blocks.subarray(i * BLOCK_SIZE, (i + 1) * BLOCK_SIZE);
      out.set(hash(algorithm, block, "buffer"), i * digestSize);
    }
  };
}

function byWay(algorithm: "sha256" | "sha512", way: string): HashAll {
  const hasher = blockHash(algorithm, way);
  return (blocks, out) => {
    const step = BATCH * BLOCK_SIZE;
    for (let at = 0; at < blocks.length; at += step) {
      hasher.hashBlocks(blocks.subarray(at, at + step), BLOCK_SIZE, out);
    }
  };
}
