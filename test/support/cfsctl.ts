/** The peer: `cfsctl` of composefs-rs, where COMPOSEFS_CFSCTL names it. */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { computeFsVerityDigest, memorySource, objectPath, openSplitStream } from "#src/core/mod.ts";
import type { FormatVersion, FsVerityAlgorithm, FsVerityDigest } from "#src/core/mod.ts";
import { nodeHash } from "./hash.ts";
import { writeOciLayout } from "./layers.ts";
import { run } from "./run.ts";
import type { Finished, RunOptions } from "./run.ts";
import { tempDir } from "./temp.ts";

const binary = process.env["COMPOSEFS_CFSCTL"];

/** Why it cannot be used; `undefined` when it can. */
export const cfsctlMissing: string | undefined =
  binary === undefined ? "needs composefs-rs: set COMPOSEFS_CFSCTL to its cfsctl" : undefined;

/** Runs the peer. */
export function runPeer(args: readonly string[], options: RunOptions = {}): Finished {
  return run(binary!, args, options);
}

/** A repository of the peer, with one image in it. */
export class PeerImage {
  readonly #repository: string;
  /** Why the peer refused the image; empty when it did not. */
  readonly refusal: string;

  constructor(
    archives: readonly Uint8Array[],
    version: FormatVersion,
    algorithm: FsVerityAlgorithm,
  ) {
    const root = tempDir();
    this.#repository = join(root, "repository");
    const layout = join(root, "layout");
    mkdirSync(layout);
    writeOciLayout(layout, archives);
    const options = [`--erofs-version=${version}`, `--algorithm=fsverity-${algorithm}-12`];
    const made = this.#cfsctl("init", "--insecure", ...options);
    if (made.status !== 0) throw new Error(`cfsctl init: ${made.stderr}`);
    const pulled = this.#cfsctl("oci", "pull", `oci:${layout}`, "image");
    this.refusal = pulled.status === 0 ? "" : pulled.stderr;
  }

  /** The digest of the EROFS image, in lower-case hexadecimal. */
  digest(...args: string[]): string {
    return this.#output("oci", "compute-id", ...args, "image")
      .toString()
      .trim();
  }

  /** The splitstream of a layer, as it lies in the repository. */
  layerStream(archive: Uint8Array): Buffer {
    const diffId = createHash("sha256").update(archive).digest("hex");
    return readFileSync(join(this.#repository, `streams/oci-layer-sha256:${diffId}`));
  }

  /** Puts a stream and its objects into the repository; returns what the peer makes of it. */
  catForeign(stream: Uint8Array, objects: ReadonlyMap<FsVerityDigest, Uint8Array>): Buffer {
    const algorithm = openSplitStream(memorySource(stream)).algorithm;
    const digest = computeFsVerityDigest(stream, nodeHash(algorithm));
    for (const [each, content] of [...objects, [digest, stream] as const]) {
      const path = join(this.#repository, "objects", objectPath(each));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    }
    symlinkSync(`../objects/${objectPath(digest)}`, join(this.#repository, "streams/foreign"));
    return this.#output("cat", "foreign");
  }

  /** The content of an object. */
  object(digest: FsVerityDigest): Buffer {
    return readFileSync(join(this.#repository, "objects", objectPath(digest)));
  }

  #output(...args: string[]): Buffer {
    const done = this.#cfsctl(...args);
    if (done.status !== 0) throw new Error(`cfsctl ${args.join(" ")}: ${done.stderr}`);
    return done.stdout;
  }

  #cfsctl(...args: string[]): ReturnType<typeof run> {
    return run(binary!, ["--insecure", "--repo", this.#repository, ...args]);
  }
}
