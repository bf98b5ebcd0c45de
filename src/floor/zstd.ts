/**
 * zstd: the system's libzstd where there is one, else WebAssembly, which can only decompress.
 *
 * Node's own zstd is not used: it is not in every version that we run on, and below 26 it silently
 * drops all frames but the first of a chunk.
 */

import { loadLibzstd } from "./libzstd.ts";
import type { Zstd } from "./zstd-stream.ts";
import { loadZstdWasm } from "./zstd-wasm.ts";

const loaded = new Map<string, Promise<Zstd>>();

/**
 * Returns the fastest zstd that this machine has. `wanted` is for tests and for finding faults:
 * `libzstd` or `wasm`; it comes from the environment variable `COMPOSEFS_ZSTD` unless given. A way
 * that was asked for by name and is not there is an error.
 */
export function loadZstd(wanted: string = process.env["COMPOSEFS_ZSTD"] ?? ""): Promise<Zstd> {
  let zstd = loaded.get(wanted);
  if (zstd === undefined) {
    zstd = load(wanted);
    loaded.set(wanted, zstd);
  }
  return zstd;
}

async function load(wanted: string): Promise<Zstd> {
  const native = wanted === "libzstd" || wanted === "" ? loadLibzstd() : undefined;
  if (native !== undefined) return native;
  if (wanted === "wasm" || wanted === "") return loadZstdWasm();
  throw new Error(`there is no zstd by way of "${wanted}" on this machine`);
}
