/** Repositories and images for tests of pulls. */

import { join } from "node:path";
import type { ByteString, FormatVersion, FsVerityAlgorithm } from "#src/core/mod.ts";
import { openImageSource, pullImage } from "#src/sources/mod.ts";
import type { PullOptions, PullReport } from "#src/sources/mod.ts";
import { Repository, initRepository } from "#src/store/mod.ts";
import { cfsctlMissing } from "../../support/cfsctl.ts";
import { needsThat } from "../../support/needs.ts";
import { run } from "../../support/run.ts";
import { tempDir } from "../../support/temp.ts";

/** Makes a repository and returns its path. */
export function makeRepository(
  algorithm: FsVerityAlgorithm = "sha512",
  versions: readonly FormatVersion[] = [1],
): string {
  const path = join(tempDir(), "repository");
  initRepository(path as ByteString, {
    algorithm,
    verity: "missing-allowed",
    formats: { default: versions[0]!, extra: versions.slice(1) },
  });
  return path;
}

/** Pulls an image by its name. */
export async function pull(
  repository: string,
  name: string,
  options: PullOptions = {},
): Promise<PullReport> {
  const repo = Repository.open(repository as ByteString, { writable: true });
  try {
    const source = await openImageSource(name, { registry: { insecure: true } });
    try {
      return await pullImage(repo, source, { tag: "image" as ByteString, ...options });
    } finally {
      await source.close();
    }
  } finally {
    repo.close();
  }
}

/** Tests that need composefs-rs. */
export const peer = needsThat(cfsctlMissing);

/** Runs cfsctl on a repository; throws unless it succeeds. */
export function cfsctl(repository: string, ...args: string[]): string {
  const binary = process.env["COMPOSEFS_CFSCTL"]!;
  const done = run(binary, ["--insecure", "--repo", repository, ...args]);
  if (done.status !== 0) throw new Error(`cfsctl ${args.join(" ")}: ${done.stderr}`);
  return done.stdout.toString();
}
