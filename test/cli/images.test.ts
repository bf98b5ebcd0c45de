/** `composefs pull`, `images`, `inspect`, `tag`, `untag` and `rm`, as users run them. */

import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { writeOciLayout } from "../support/layers.ts";
import { archive, header, member } from "../support/tar-bytes.ts";
import { tempDir } from "../support/temp.ts";
import { runProgram } from "./programs.ts";
import type { Finished } from "../support/run.ts";

const directory = header({ name: "usr/", typeflag: "5", mode: 0o755 });
const COMMON = archive(directory, member({ name: "usr/common" }, "c".repeat(50_000)));
const FIRST = archive(member({ name: "usr/first" }, "1".repeat(10_000)));
const SECOND = archive(member({ name: "usr/second" }, "2".repeat(20_000)));

const root = tempDir();
const repository = join(root, "repository");
mkdirSync(join(root, "one"));
mkdirSync(join(root, "two"));
writeOciLayout(join(root, "one"), [COMMON, FIRST]);
writeOciLayout(join(root, "two"), [COMMON, SECOND]);

function composefs(...args: string[]): Finished {
  return runProgram("composefs", args, { env: { COMPOSEFS_REPO: repository }, cwd: root });
}
function json(...args: string[]): Record<string, unknown> {
  const { stdout, status, stderr } = composefs(...args, "--json");
  expect([status, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout.toString()) as Record<string, unknown>;
}

function listed(): Listed[] {
  return json("images") as object as Listed[];
}

interface Listed {
  readonly name: string;
  readonly manifestDigest: string;
  readonly size: number;
  readonly uniqueSize: number;
  readonly sharedSize: number;
  readonly damage: string | null;
}

test("pull: needs a repository", () => {
  const { status, stderr } = composefs("pull", "oci:one");
  expect(status).toBe(1);
  expect(stderr).toContain("hint: `composefs repo init` makes one");
});

describe("a repository with two images", () => {
  beforeAll(() => {
    const formats = ["--erofs-version=1", "--erofs-version=2"];
    composefs("repo", "init", "--verity=missing-allowed", ...formats);
  });

  test("pull: tells what it did", () => {
    const report = json("pull", "oci:one", "first", "-q");
    expect(report).toMatchObject({
      outcome: "pulled",
      kind: "image",
      tag: "first",
      source: "oci:one",
      layers: [
        { isPresent: false, entries: 2, unpacked: COMMON.length },
        { isPresent: false, entries: 1, unpacked: FIRST.length },
      ],
      erofs: [
        { version: 1, bootable: false },
        { version: 2, bootable: false },
      ],
    });
    const second = composefs("pull", "oci:two", "docker.io/library/two:v1");
    expect(second.stderr).toMatch(/^Layer [0-9a-f]{12}: 2\d\.\d KiB/);
    expect(second.stdout.toString()).toContain("layers    2, 1 were here already\n");
    expect(json("pull", "oci:one", "first")).toMatchObject({ outcome: "up-to-date" });
  });

  test("pull: without a tag takes the name", () => {
    expect(json("pull", "oci:one", "-q")).toMatchObject({ tag: "oci:one", outcome: "up-to-date" });
    expect(composefs("untag", "oci:one").status).toBe(0);
  });

  test("pull: refuses what makes no sense, before any work", () => {
    const codes = [
      ["pull", "oci:one", "--keep-user-xattrs"],
      ["pull", "oci:one", "--limit=entries"],
      ["pull", "oci:one", "--limit=__proto__=1"],
      ["pull", "oci:one", "--layers-at-once=0"],
      ["inspect", "first", "--config", "--json"],
    ].map((args) => composefs(...args).status);
    expect(codes).toEqual([2, 2, 2, 2, 2]);
    expect(composefs("pull", "oci:one", "@bad").stderr).toContain("as a tag");
    expect(composefs("pull", "oci:one", "x", "--platform=linux").status).toBe(1);
  });

  test("pull: keeps to the limits", () => {
    const other = tempDir();
    composefs("repo", "init", "--verity=missing-allowed", join(other, "r"));
    const { stderr, status } = composefs(
      ...["pull", "--repo", join(other, "r"), "--limit=entries=1", "oci:one"],
    );
    expect(status).toBe(1);
    expect(stderr).toContain("more than 1 entries");
    expect(readdirSync(join(other, "r"))).not.toContain("images");
  });

  test("images: tells what each costs beside the others", () => {
    const images = listed();
    expect(images.map(({ name }) => name)).toEqual(["docker.io/library/two:v1", "first"]);
    const [two, first] = images as [Listed, Listed];
    expect(first.size).toBe(first.uniqueSize + first.sharedSize);
    expect(first.sharedSize).toBe(two.sharedSize);
    // The common file and the stream of its layer.
    expect(first.sharedSize - 50_000).toBeGreaterThan(0);
    expect(first.sharedSize - 50_000).toBeLessThan(1000);
    expect(two.uniqueSize - first.uniqueSize).toBeGreaterThan(9000);
    const text = composefs("images").stdout.toString().split("\n");
    expect(text[0]).toBe(
      "NAME                      DIGEST        PLATFORM     LAYERS      SIZE    UNIQUE    SHARED",
    );
    expect(text[2]).toMatch(/^first {21}[0-9a-f]{12} {2}linux\/amd64 {7}2 /);
  });

  test("inspect: gives manifest and config byte for byte", () => {
    const { manifestDigest, configDigest } = json("inspect", "first") as Record<string, string>;
    const blob = (digest: string): Buffer =>
      readFileSync(join(root, "one/blobs", digest.replace(":", "/")));
    const manifest = composefs("inspect", "--manifest", "first").stdout;
    expect(manifest.equals(blob(manifestDigest!))).toBe(true);
    const config = composefs("inspect", "--config", `@${manifestDigest}`).stdout;
    expect(config.equals(blob(configDigest!))).toBe(true);
    expect(composefs("inspect", "first").stdout.toString()).toContain("platform");
  });

  test("tag, untag and rm: move names", () => {
    const { manifestDigest } = json("tag", "first", "stable");
    expect(json("tag", `@${String(manifestDigest)}`, "old")).toMatchObject({ tag: "old" });
    const inspected = json("inspect", "stable");
    expect(inspected["tags"]).toEqual(["first", "old", "stable"]);
    expect(json("untag", "old", "stable")).toEqual({ untagged: ["old", "stable"] });
    expect(composefs("untag", "old").stderr).toContain("no tag of this name is in the repository");
    const planned = json("rm", "--dry-run", "first");
    expect(planned).toMatchObject({ untagged: ["first"], dryRun: true });
    expect(listed()).toHaveLength(2);
    expect(json("rm", "first")).toMatchObject({ untagged: ["first"], dryRun: false });
    expect(listed().map(({ name }) => name)).toEqual(["docker.io/library/two:v1"]);
    expect(composefs("inspect", "first").status).toBe(1);
  });

  test("images: a damaged image does not hide another", () => {
    json("pull", "oci:one", "first", "-q");
    const { manifestStream } = json("pull", "oci:one", "first") as Record<string, string>;
    const object = join(
      repository,
      "objects",
      manifestStream!.slice(0, 2),
      manifestStream!.slice(2),
    );
    rmSync(object);
    writeFileSync(object, "damaged");
    const images = listed();
    expect(images.map(({ damage }) => damage === null)).toEqual([true, false]);
    expect(composefs("images").stdout.toString()).toContain("damaged");
    // What a pull finds damaged it makes good.
    expect(composefs("pull", "oci:one", "first").stderr).toBe("");
    expect(listed().map(({ damage }) => damage)).toEqual([null, null]);
  });

  test("repo fsck --repair: fetches from where the pull noted that the image came from", () => {
    json("pull", "oci:one", "first", "-q");
    const objects = join(repository, "objects");
    const names = readdirSync(objects, { recursive: true, encoding: "utf8" });
    const common = names.find((name) => statSync(join(objects, name)).size === 50_000)!;
    writeFileSync(join(objects, common), "c".repeat(49_999));
    expect(composefs("repo", "fsck").status).toBe(6);
    // From another directory, and by a tag that is no name of a source.
    const repaired = runProgram("composefs", ["repo", "fsck", "--repair", `--repo=${repository}`], {
      cwd: "/",
    });
    expect(repaired.stdout.toString()).toContain("out of where it came from");
    expect([repaired.status, repaired.stderr]).toEqual([0, ""]);
  });
});
