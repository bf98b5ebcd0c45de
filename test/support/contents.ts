/** What a repository has, by the sha256 of the contents: found out by reading all objects, as no index does. */

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseFsVerityDigest } from "#src/core/mod.ts";
import type { FsVerityDigest } from "#src/core/mod.ts";
import { sha256 } from "./chunked.ts";

/** A content and its object. */
export interface KnownContent {
  readonly digest: FsVerityDigest;
  readonly size: number;
}

/** The objects of a repository by `sha256:…` of their contents. */
export function contentsOf(repository: string): Map<string, KnownContent> {
  const contents = new Map<string, KnownContent>();
  const objects = join(repository, "objects");
  for (const entry of readdirSync(objects, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    const name = path.slice(objects.length + 1).replace("/", "");
    contents.set(`sha256:${sha256(bytes)}`, {
      digest: parseFsVerityDigest(name),
      size: bytes.length,
    });
  }
  return contents;
}
