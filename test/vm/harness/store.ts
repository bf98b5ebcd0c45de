/** What many tests begin with: files on a disk, and an image of them with its store on another, in the guest. */

import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blockHash } from "#src/floor/mod.ts";
import { computeFsVerityDigest, objectPath } from "#src/core/mod.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "#src/core/mod.ts";
import type { Machine } from "./machine.ts";

/** A file of a test: content of a given size, different for every name. */
export function contentOf(name: string, size: number): Uint8Array {
  const content = Buffer.alloc(size);
  const seed = createHash("sha256").update(name).digest();
  for (let at = 0; at < size; at += 4096) {
    createHash("sha256").update(seed).update(String(at)).digest().copy(content, at);
  }
  return content;
}

/** Writes files of these names and sizes to a new directory. */
export function writeFiles(directory: string, sizes: Readonly<Record<string, number>>): string {
  mkdirSync(directory, { recursive: true });
  for (const [name, size] of Object.entries(sizes)) {
    writeFileSync(join(directory, name), contentOf(name, size));
  }
  return directory;
}

/** The fs-verity digest as this package computes it. */
export function computedDigest(content: Uint8Array, algorithm: FsVerityAlgorithm): FsVerityDigest {
  return computeFsVerityDigest(content, blockHash(algorithm));
}

/** Where the object of a file that {@link writeFiles} wrote lies in a store. */
export function objectOf(name: string, size: number): string {
  return objectPath(computedDigest(contentOf(name, size), "sha256"));
}

/** Loads the driver of the disks and mounts `/dev/vda` on `/a`, read-only, and `/dev/vdb` on `/b`. */
export async function mountDisks(machine: Machine, options = "rw"): Promise<void> {
  await machine.output(
    `modprobe virtio_blk
     mount -o ro /dev/vda /a && { ! [ -b /dev/vdb ] || mount -o ${options} /dev/vdb /b; }`,
  );
}
