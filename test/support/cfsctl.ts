/** The peer: `cfsctl` of composefs-rs, where COMPOSEFS_CFSCTL names it. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { FormatVersion, FsVerityAlgorithm } from "#src/core/mod.ts";
import { writeOciLayout } from "./layers.ts";
import { run } from "./run.ts";
import { tempDir } from "./temp.ts";

const path = process.env["COMPOSEFS_CFSCTL"];

/** Why it cannot be used; `undefined` when it can. */
export const cfsctlMissing: string | undefined =
  path === undefined ? "needs composefs-rs: set COMPOSEFS_CFSCTL to its cfsctl" : undefined;

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

  /** The merged and canonical tree. */
  dump(): Buffer {
    return this.#output("oci", "dump", "image");
  }

  /** The bytes of a stream. */
  cat(name: string): Buffer {
    return this.#output("cat", name);
  }

  #output(...args: string[]): Buffer {
    const done = this.#cfsctl(...args);
    if (done.status !== 0) throw new Error(`cfsctl ${args.join(" ")}: ${done.stderr}`);
    return done.stdout;
  }

  #cfsctl(...args: string[]): ReturnType<typeof run> {
    return run(path!, ["--insecure", "--repo", this.#repository, ...args]);
  }
}
