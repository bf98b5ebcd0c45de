/** zstd for tests, without a dependency: the `zstd` command, and a decoder of uncompressed frames. */

import { spawnSync } from "node:child_process";
import type { Compression, Decompression } from "#src/core/mod.ts";

/** Version of the `zstd` command, as `1.5.4`; `undefined` where there is none. */
export const zstdVersion: string | undefined = /v(\d+\.\d+\.\d+)/.exec(
  String(spawnSync("zstd", ["--version"]).stdout),
)?.[1];

/** Why the `zstd` command cannot be used; `undefined` when it can. */
export const zstdMissing: string | undefined =
  zstdVersion === undefined ? "needs the zstd command (Debian package zstd)" : undefined;

/** The `zstd` command. */
export const zstdCommand: Compression & Decompression = {
  compressFrame: (pieces) => zstd(["-3", "--no-check", "--single-thread", "-c"], pieces),
  decompress: (compressed) => [zstd(["-d", "-c"], compressed)],
};

function zstd(args: readonly string[], input: Iterable<Uint8Array>): Uint8Array {
  const done = spawnSync("zstd", args, { input: Buffer.concat([...input]), maxBuffer: 2 ** 30 });
  if (done.status !== 0) throw new Error(`zstd: ${done.stderr.toString()}`);
  return Uint8Array.from(done.stdout);
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
