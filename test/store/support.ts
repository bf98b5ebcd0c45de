/** What tests of repositories share. */

import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { byteString, computeFsVerityDigest } from "#src/core/mod.ts";
import type { ByteString, FsVerityAlgorithm, FsVerityDigest } from "#src/core/mod.ts";
import { Repository, initRepository } from "#src/store/mod.ts";
import type { ErofsFormats, InitOptions } from "#src/store/mod.ts";
import { nodeHash } from "../support/hash.ts";
import { tempDir } from "../support/temp.ts";

const V1: ErofsFormats = { default: 1, extra: [] };
export const INSECURE: InitOptions = {
  algorithm: "sha512",
  verity: "missing-allowed",
  formats: V1,
};

/** A path where no repository is. */
export function freshPath(): ByteString {
  return byteString(join(tempDir(), "repo"));
}

/** A new, empty repository. */
export function newRepository(algorithm: FsVerityAlgorithm = "sha512"): Repository {
  const path = freshPath();
  initRepository(path, { ...INSECURE, algorithm });
  return Repository.open(path);
}

/** Everything below a directory: symlinks with what they say, files with their sizes. */
export function listing(path: string, below = ""): string[] {
  const lines: string[] = [];
  for (const name of readdirSync(join(path, below)).sort()) {
    const at = join(below, name);
    const stat = lstatSync(join(path, at));
    if (stat.isDirectory()) lines.push(...listing(path, at));
    else if (stat.isSymbolicLink()) lines.push(`${at} -> ${readlinkSync(join(path, at))}`);
    else lines.push(`${at} ${stat.size}`);
  }
  return lines;
}

/** What is wrong with the objects of a repository: names that are not the digest of the content. */
export function problemsOfObjects(path: string, algorithm: FsVerityAlgorithm): string[] {
  const objects = listing(path, "objects");
  return objects.flatMap((line) => {
    const file = line.slice(0, line.lastIndexOf(" "));
    const name = file.replace(/^objects\//, "").replace("/", "");
    const digest = computeFsVerityDigest(readFileSync(join(path, file)), nodeHash(algorithm));
    return digest === (name as FsVerityDigest) ? [] : [line];
  });
}

/** Bytes that do not compress, and are the same in each run. */
export function noise(size: number, seed = size): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
