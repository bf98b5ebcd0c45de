/** Repositories and images for tests of pulls. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type {
  ByteString,
  FormatVersion,
  FsVerityAlgorithm,
  FsVerityDigest,
} from "#src/core/mod.ts";
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
  path = join(tempDir(), "repository"),
): string {
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

/** Whether all that a repository holds is whole: objects by their digests, streams by what they need. */
export function damageOf(repository: string): string[] {
  const repo = Repository.open(repository as ByteString);
  const damage: string[] = [];
  const note = (what: string, check: () => boolean): void => {
    try {
      if (!check()) damage.push(what);
    } catch (error) {
      damage.push(`${what}: ${String(error)}`);
    }
  };
  for (const digest of objectsOf(repository)) {
    note(digest, () => repo.readObject(digest as FsVerityDigest, 2 ** 30).length > 0);
  }
  for (const id of repo.listStreams()) {
    note(id, () => {
      const { stream, close } = repo.openStream(id);
      const isWhole = stream.objectRefs.every((each) => repo.hasObject(each));
      close();
      return isWhole && stream.streamRefs.every((each) => repo.hasObject(each));
    });
  }
  for (const digest of repo.listImages()) note(digest, () => repo.hasObject(digest));
  for (const { name, target } of repo.listRefs("streams")) {
    note(name, () => repo.streamDigest(target) !== undefined);
  }
  repo.close();
  return damage;
}

/** The digests of all objects, and the names of what else lies among them. */
export function objectsOf(repository: string): string[] {
  if (!existsSync(join(repository, "objects"))) return [];
  const names = readdirSync(join(repository, "objects"), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.length > 2).map((name) => name.replace("/", ""));
}

/** The streams, images and refs of a repository. */
export function entriesOf(repository: string): string[] {
  const names = readdirSync(repository, { recursive: true, encoding: "utf8" });
  return names.filter((name) => /^(?:streams|images)\/(?!refs$|refs\/oci$)/.test(name)).sort();
}
