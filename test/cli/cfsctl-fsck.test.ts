/** `cfsctl fsck` and `oci fsck`: what they say about damage, and that composefs-rs's say the same. */

import {
  cpSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { cfsctlMissing, runPeer } from "../support/cfsctl.ts";
import { writeOciLayout } from "../support/layers.ts";
import { needsThat } from "../support/needs.ts";
import { archive, member } from "../support/tar-bytes.ts";
import { tempDir } from "../support/temp.ts";
import { runCfsctl } from "./programs.ts";

const LAYER = archive(
  member({ name: "usr", typeflag: "5", mode: 0o755 }),
  member({ name: "usr/large" }, Buffer.alloc(5000, "large")),
);
/** The object of the large file. */
const LARGE = "objects/51/2875e4f5e83c0220691430d2d11ab64d0c59734daaa630683c16eea1610a0e";

let healthy = "";

beforeAll(() => {
  const cwd = tempDir();
  for (const name of ["layout", "root", "root/usr"]) mkdirSync(join(cwd, name));
  writeFileSync(join(cwd, "root/usr/large"), Buffer.alloc(5000, "large"));
  for (const name of ["root/usr/large", "root/usr", "root"]) {
    utimesSync(join(cwd, name), 1_700_000_000, 1_700_000_000);
  }
  writeOciLayout(join(cwd, "layout"), [LAYER]);
  const repo = (...args: string[]) => runCfsctl(["--repo", "repo", ...args], { cwd }).status;
  expect(repo("init", "--insecure", "--algorithm", "fsverity-sha256-12")).toBe(0);
  expect(repo("create-image", "root", "base")).toBe(0);
  expect(repo("oci", "pull", "oci:layout", "web")).toBe(0);
  healthy = join(cwd, "repo");
});

const stream = (repo: string, prefix: string) => {
  const name = readdirSync(join(repo, "streams")).find((each) => each.startsWith(prefix))!;
  return join(repo, "streams", name);
};

const objectOf = (link: string) => realpathSync(link);

/** Damage by name; each gets a copy of a healthy repository. */
const DAMAGE: Readonly<Record<string, (repo: string) => void>> = {
  none: () => {},
  "an object has other content": (repo) => writeFileSync(largeObject(repo), "bad"),
  "an object is missing": (repo) => rmSync(largeObject(repo)),
  "a name leads to nothing": (repo) => {
    rmSync(join(repo, "images/refs/base"));
    symlinkSync("../nothing", join(repo, "images/refs/base"));
  },
  "a manifest is garbage": (repo) =>
    writeFileSync(objectOf(stream(repo, "oci-manifest")), "garbage"),
  "a config is missing": (repo) => rmSync(objectOf(stream(repo, "oci-config"))),
  "a layer is missing": (repo) => rmSync(objectOf(stream(repo, "oci-layer"))),
  "a layer is cut": (repo) => writeFileSync(objectOf(stream(repo, "oci-layer")), "SplitStream"),
  "a layer has no name": (repo) => rmSync(stream(repo, "oci-layer")),
  "files that do not belong": (repo) => {
    mkdirSync(join(repo, "images/directory"));
    for (const path of ["streams/file", "images/file", "streams/refs/file"]) {
      writeFileSync(join(repo, path), "");
    }
  },
  "a file in the place of a directory": (repo) => {
    const directory = dirname(largeObject(repo));
    rmSync(directory, { recursive: true });
    writeFileSync(directory, "");
  },
  "a tag that begins with @": (repo) => {
    const target = readlinkSync(join(repo, "streams/refs/oci/web"));
    symlinkSync(target, join(repo, "streams/refs/oci/@web"));
  },
  "no settings": (repo) => writeFileSync(join(repo, "meta.json"), "no JSON"),
};

function largeObject(repo: string): string {
  return join(repo, LARGE);
}

const COMMANDS = [
  "fsck",
  "fsck --metadata-only",
  "fsck --json",
  "oci fsck",
  "oci fsck --json web",
  "oci fsck nothing",
];

/** What the commands print; errors are in the order of the directories, and sorted here. */
function report(runLine: typeof runPeer, damage: (repo: string) => void): string {
  const cwd = tempDir();
  cpSync(healthy, join(cwd, "repo"), { recursive: true, verbatimSymlinks: true });
  damage(join(cwd, "repo"));
  const parts = COMMANDS.map((line) => {
    const { stdout, status } = runLine(["--repo", "repo", ...line.split(" ")], { cwd });
    const lines = stdout.toString().replaceAll(/,$/gm, "").split("\n");
    const isError = (text: string) => /^ *(?:- |")fsck: /.test(text);
    const errors = lines.filter(isError).sort();
    const rest = lines.map((text) => (isError(text) ? errors.shift()! : text));
    return `$ cfsctl ${line}\n${rest.join("\n")}[${status}]\n`;
  });
  return parts.join("");
}

/** Digests of streams depend on the version of zstd, that of an image of a directory on its owner. */
function masked(text: string): string {
  return text
    .replace(/objects\/[0-9a-f]{2}\/[0-9a-f]{62}/g, "objects/…")
    .replace(/Opening object sha256:[0-9a-f]{64}/g, "Opening object sha256:…")
    .replace(/(?<!sha256:)\b[0-9a-f]{64}\b/g, "…");
}

describe("cfsctl fsck", () => {
  test("finds what is wrong, and says it in the same words each time", async () => {
    const reports = Object.entries(DAMAGE).map(
      ([name, damage]) => `==== ${name}\n${masked(report(runCfsctl, damage))}`,
    );
    await expect(reports.join("\n")).toMatchFileSnapshot("cfsctl-fsck.txt");
  }, 240_000);
});

needsThat(cfsctlMissing).describe("cfsctl fsck says what composefs-rs's says", () => {
  test.each(Object.keys(DAMAGE))("%s", (name) => {
    const damage = DAMAGE[name]!;
    expect(report(runCfsctl, damage)).toBe(report(runPeer, damage));
  });
});
