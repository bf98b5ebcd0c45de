/** Finds the conformance vectors: data of the C project's test suite, kept beside the checkout. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";

/** The root of the checkout. */
export const CHECKOUT = resolve(import.meta.dirname, "../..");

/** The directory with `dump/*.dump`, or `undefined`. COMPOSEFS_SHARED names the directory above it. */
export function findSharedVectors(): string | undefined {
  const shared = process.env["COMPOSEFS_SHARED"] ?? join(CHECKOUT, "../shared");
  const vectors = join(shared, "vectors");
  return existsSync(join(vectors, "dump")) ? vectors : undefined;
}

/** A dump with what the C tool makes of it. */
export interface DumpVector {
  /** File name without `.gz`: `bigfile.dump`. */
  readonly name: string;
  /** Where it lies; it may be compressed. */
  readonly path: string;
  /** Plain SHA-256 of the image file; `undefined` where the dump must be refused. */
  readonly imageSha256: string | undefined;
  /** Format version for both `--min-version` and `--max-version`; `undefined` for the defaults, 0 and 1. */
  readonly version: number | undefined;
  /** Whether it is accepted under CFS_PARSE_STRICT. */
  readonly strict: boolean;
}

/** Two vectors are accepted only without CFS_PARSE_STRICT. */
const NOT_STRICT = new Set(["no-newline.dump", "longlink.dump"]);

/** All vectors in order of name; none where `findSharedVectors` finds none. */
export function dumpVectors(): DumpVector[] {
  const directory = findSharedVectors();
  if (directory === undefined) return [];
  const dumps = join(directory, "dump");
  return readdirSync(dumps)
    .filter((file) => /\.dump(\.gz)?$/.test(file))
    .sort()
    .map((file) => {
      const path = join(dumps, file);
      const name = file.replace(/\.gz$/, "");
      const version = readText(`${path}.version`);
      return {
        name,
        path,
        imageSha256: readText(`${path}.sha256`),
        version: version === undefined ? undefined : Number(version),
        strict: !NOT_STRICT.has(name),
      };
    });
}

/** The bytes of a vector's dump, decompressed. */
export function readVector(vector: DumpVector): Uint8Array {
  const bytes = readFileSync(vector.path);
  return vector.path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

function readText(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
}
