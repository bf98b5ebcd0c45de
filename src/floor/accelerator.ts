/**
 * Loads the accelerator (native/, a plain shared library), where it was built and fits.
 *
 * The numbers of the paths, the two functions and what they promise: native/block-hash.h.
 */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import koffi from "koffi";

/** The instructions that a path uses. */
export type AcceleratorPath = "shani" | "avx512" | "avx2";

/** The accelerator of this machine. */
export interface Accelerator {
  /** The paths that this processor can run, the fastest first. */
  paths(algorithm: "sha256" | "sha512"): AcceleratorPath[];
  /** How many blocks are hashed in the time of one; 1 where a block alone costs no more. */
  lanes(algorithm: "sha256" | "sha512", path: AcceleratorPath): number;
  /** The function of a path: hashes `count` blocks into `out`, which is large enough. */
  hashBlocks(
    algorithm: "sha256" | "sha512",
    path: AcceleratorPath,
  ): (blocks: Uint8Array, count: number, blockSize: number, out: Uint8Array) => void;
}

interface Path {
  /** `enum block_hash_path`. */
  readonly number: number;
  readonly algorithm: "sha256" | "sha512";
  readonly path: AcceleratorPath;
  readonly lanes: number;
}

/** The fastest first: measured on Zen 4, where 16 lanes of AVX-512 come close to SHA-NI. */
const PATHS: readonly Path[] = [
  { number: 0, algorithm: "sha256", path: "shani", lanes: 1 },
  { number: 1, algorithm: "sha256", path: "avx512", lanes: 16 },
  { number: 2, algorithm: "sha256", path: "avx2", lanes: 8 },
  { number: 3, algorithm: "sha512", path: "avx512", lanes: 8 },
  { number: 4, algorithm: "sha512", path: "avx2", lanes: 4 },
];

let loaded: Accelerator | undefined;
let tried = false;

/** Returns the accelerator, or `undefined` where none was built for this system or can be loaded. */
export function loadAccelerator(): Accelerator | undefined {
  if (!tried) {
    tried = true;
    try {
      loaded = load();
    } catch {
      // A bundle outside the package, a file system without execution: the same answers, slower.
      // `COMPOSEFS_HASH=native` tells.
    }
  }
  return loaded;
}

function load(): Accelerator | undefined {
  // By the package's name: this file may be part of a bundle in another directory.
  const root = new URL(".", import.meta.resolve("composefs/package.json"));
  const file = fileURLToPath(
    new URL(`native/prebuilt/${process.platform}-${process.arch}/libblockhash.so`, root),
  );
  if (!existsSync(file)) return undefined;
  const library = koffi.load(file);
  const usable = library.func("uint32_t block_hash_paths(void)")() as number;
  const run = library.func(
    "int block_hash(uint32_t path, const void *blocks, size_t count, size_t block_size, void *out)",
  );
  return {
    paths: (algorithm) =>
      PATHS.filter((one) => one.algorithm === algorithm && ((usable >> one.number) & 1) === 1).map(
        (one) => one.path,
      ),
    lanes: (algorithm, path) => findPath(algorithm, path).lanes,
    hashBlocks(algorithm, path) {
      const { number } = findPath(algorithm, path);
      return (blocks, count, blockSize, out) => {
        run(number, blocks, count, blockSize, out);
      };
    },
  };
}

function findPath(algorithm: "sha256" | "sha512", path: AcceleratorPath): Path {
  return PATHS.find((one) => one.algorithm === algorithm && one.path === path)!;
}
