/** `composefs seal` and `composefs verify`, as users call them. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import { openImageSource, pullImage } from "#src/sources/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import { Repository, initRepository, openOciImage } from "#src/store/mod.ts";
import type { OciImage } from "#src/store/mod.ts";
import { makeIdentity } from "../support/certificates.ts";
import { writeOciLayout } from "../support/layers.ts";
import { directoryEntry, fileEntry } from "../support/selinux-policy.ts";
import { archive } from "../support/tar-bytes.ts";
import { tempDir } from "../support/temp.ts";
import { runProgram } from "./programs.ts";

const zstd = await loadZstd();
const owner = makeIdentity();
const stranger = makeIdentity();
const LAYER = archive(directoryEntry("usr"), fileEntry("usr/file", "x".repeat(1000)));

/** A repository with the image `app`. */
async function repositoryWithImage(): Promise<string> {
  const layout = tempDir();
  writeOciLayout(layout, [LAYER]);
  const path = join(tempDir(), "repository");
  initRepository(byteString(path), {
    ...{ algorithm: "sha512", verity: "missing-allowed" },
    formats: { default: 1, extra: [] },
  });
  const repo = Repository.open(byteString(path), { writable: true });
  const source = await openImageSource(byteString(`oci:${layout}`));
  await pullImage(repo, source, { tag: byteString("app") });
  await source.close();
  repo.close();
  return path;
}

function imageIn(repository: string, tag: string): OciImage {
  const repo = Repository.open(byteString(repository));
  try {
    return openOciImage(repo, byteString(tag), zstd);
  } finally {
    repo.close();
  }
}

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function composefs(repository: string, command: string, ...args: readonly string[]): Ended {
  const done = runProgram("composefs", [command, "--repo", repository, ...args]);
  return { status: done.status, out: done.stdout.toString(), err: done.stderr };
}

const KEY = ["--key", owner.key, "--cert", owner.certificate];

describe("composefs seal and verify", () => {
  test("with an artifact: sealed, verified, refused", async () => {
    const repository = await repositoryWithImage();
    const none = composefs(repository, "verify", "--trust", owner.certificate, "app");
    expect(none).toMatchObject({ status: 5, out: "" });
    expect(none.err).toMatch(/^composefs: Cannot verify "app": it is not sealed/);

    const sealed = composefs(repository, "seal", ...KEY, "app");
    expect(sealed).toMatchObject({ status: 0, err: "" });
    expect(sealed.out).toMatch(/^manifest +sha256:[0-9a-f]{64}\nartifact +sha256:/);
    expect(sealed.out).toMatch(/^merged digest +[0-9a-f]{128}$/m);

    const verified = composefs(repository, "verify", "--trust", owner.certificate, "app");
    expect(verified).toMatchObject({ status: 0, err: "" });
    expect(verified.out).toMatch(/^signatures +hold$/m);
    const both = ["--trust", stranger.certificate, "--trust", owner.certificate];
    expect(composefs(repository, "verify", ...both, "app").status).toBe(0);
    const untrusted = composefs(repository, "verify", "app");
    expect(untrusted.status).toBe(0);
    expect(untrusted.out).toMatch(/^signatures +not looked at/m);

    const refused = composefs(repository, "verify", "--trust", stranger.certificate, "app");
    expect(refused).toMatchObject({ status: 5, out: "" });
    expect(refused.err).toMatch(/Cannot accept signature: .* not trusted/);
  });

  test("inline, in JSON", async () => {
    const repository = await repositoryWithImage();
    const args = ["--inline", "--layers", "--json", "app"];
    const sealed = JSON.parse(composefs(repository, "seal", ...KEY, ...args).out) as object;
    expect(sealed).toMatchObject({
      ...{ mode: "inline", artifact: null, algorithm: "sha512", isSigned: true, tag: "app" },
      entries: [
        { role: "config", layer: null },
        { role: "layer", layer: 0 },
        { role: "merged", layer: null },
      ],
    });
    const trust = ["--trust", owner.certificate];
    const verified = composefs(repository, "verify", ...trust, "--layers", "--json", "app");
    const { tag, ...expected } = sealed as Record<string, unknown>;
    expect(tag).toBe("app");
    expect(JSON.parse(verified.out)).toEqual(expected);
  });

  test.each<[string, string[], number, RegExp]>([
    ["seal", ["--key", owner.key, "app"], 2, /one of --key and --cert alone/],
    ["seal", ["--inline", "--artifact", "app"], 2, /together/],
    ["seal", ["--layers", "app"], 2, /without --inline/],
    ["seal", ["--key", owner.key, "--cert", stranger.certificate, "app"], 1, /is not its own/],
    ["seal", ["--key", "/nowhere", "--cert", owner.certificate, "app"], 1, /"\/nowhere"/],
    ["seal", ["other"], 1, /no tag of this name/],
    ["seal", ["--bootable", "app"], 1, /"\/boot" is not there/],
    ["verify", ["--trust", owner.key, "app"], 1, /holds no certificate/],
    ["verify", [], 2, /IMAGE/],
  ])("%s %j ends with status %i", async (command, args, status, message) => {
    const ended = composefs(await repositoryWithImage(), command, ...args);
    expect(ended.status).toBe(status);
    expect(ended.err).toMatch(message);
    expect(ended.out).toBe("");
  });

  test("a pull takes an image that is sealed inline, and no other", async () => {
    const repository = await repositoryWithImage();
    composefs(repository, "seal", ...KEY, "--inline", "app");
    const layout = tempDir();
    writeOciLayout(layout, [LAYER]);
    const plain = ["--quiet", "--trust", owner.certificate, `oci:${layout}`, "plain"];
    const refused = composefs(repository, "pull", "--require-seal", ...plain);
    expect(refused).toMatchObject({ status: 5, out: "" });
    expect(refused.err).toMatch(/is not sealed with digests of sha512/);
    expect(composefs(repository, "pull", ...plain).status).toBe(2);
    expect(composefs(repository, "inspect", "plain").status).toBe(1);

    const { manifestBytes, manifestDigest } = imageIn(repository, "app");
    const name = manifestDigest.slice("sha256:".length);
    writeFileSync(join(layout, "blobs/sha256", name), manifestBytes);
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const manifests = [{ mediaType, digest: manifestDigest, size: manifestBytes.length }];
    writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
    const fresh = await repositoryWithImage();
    const taken = composefs(fresh, "pull", "--require-seal", ...plain);
    expect(taken).toMatchObject({ status: 0, err: "" });
    expect(imageIn(fresh, "plain").manifestDigest).toBe(manifestDigest);
    const told = composefs(fresh, "pull", "--require-seal", "--json", ...plain.slice(1));
    expect(JSON.parse(told.out)).toMatchObject({ seal: { mode: "inline", artifact: null } });
    const stranded = composefs(
      fresh,
      "pull",
      "--require-seal",
      ...plain.with(2, stranger.certificate),
    );
    expect(stranded.status).toBe(5);
  });

  test("keys are not in what is printed", async () => {
    const repository = await repositoryWithImage();
    const secret = readFileSync(owner.key, "utf8").split("\n")[1]!;
    const { out, err } = composefs(repository, "seal", ...KEY, "app");
    expect(out + err).not.toContain(secret);
  });
});
