/**
 * `cfsctl oci`: what it prints and how it ends, recorded; and, where composefs-rs's own is there, the same for
 * the same command lines, in one order, on a repository of its own.
 */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cfsctlMissing, runPeer } from "../support/cfsctl.ts";
import { writeOciLayout } from "../support/layers.ts";
import { needs, needsThat } from "../support/needs.ts";
import { run } from "../support/run.ts";
import { archive, member, pax } from "../support/tar-bytes.ts";
import { tempDir } from "../support/temp.ts";
import { runCfsctl } from "./programs.ts";

const dir = (name: string) => member({ name, typeflag: "5", mode: 0o755, mtime: 1_700_000_000 });
const file = (name: string, content: string | Uint8Array) =>
  member({ name, mode: 0o644, mtime: 1_700_000_000 }, content);

const POLICY = `/.* system_u:object_r:default_t:s0
/usr(/.*)? system_u:object_r:usr_t:s0
/usr/large -- system_u:object_r:large_t:s0
/sysroot <<none>>
`;

const LOWER = archive(
  dir("./"),
  dir("./usr/"),
  file("./usr/small", "small\n"),
  pax([["SCHILY.xattr.user.note", "kept"]]),
  file("./usr/large", Buffer.alloc(5000, "large")),
  member({ name: "./usr/again", typeflag: "1", linkname: "./usr/large" }),
  dir("boot"),
  file("boot/kernel", "gone"),
  dir("sysroot"),
  dir("etc"),
  dir("etc/selinux"),
  file("etc/selinux/config", "SELINUXTYPE=targeted\n"),
  dir("etc/selinux/targeted"),
  dir("etc/selinux/targeted/contexts"),
  dir("etc/selinux/targeted/contexts/files"),
  file("etc/selinux/targeted/contexts/files/file_contexts", POLICY),
);
const UPPER = archive(
  dir("usr"),
  file("usr/.wh.small", ""),
  member({ name: "usr/link", typeflag: "2", linkname: "large", mode: 0o777 }),
  member({ name: "usr/null", typeflag: "3", devmajor: 1, devminor: 3, mode: 0o666 }),
);

const sha256 = (data: Uint8Array) => `sha256:${createHash("sha256").update(data).digest("hex")}`;
const NOTHING = `sha256:${"0".repeat(64)}`;
const ZEROS = "0".repeat(128);

/** Command lines; capitals stand for digests, `<` for standard input. */
const LINES: readonly string[] = [
  "init repo --insecure",
  "init old --insecure --erofs-version 2 --algorithm fsverity-sha256-12",
  "--repo repo oci images",
  "--repo repo oci images --json",
  "--repo repo oci pull oci:layout web/app:1",
  "--repo repo oci pull oci:layout web/app:1",
  "--repo old oci pull oci:layout web/app:1 --bootable",
  "--repo old oci pull oci:layout",
  "--repo repo oci pull oci:nowhere web",
  "--repo repo oci pull oci:layout web --expected-digest ZEROS",
  "--repo repo oci pull oci:layout web --bootable --expected-digest zz",
  "--repo repo oci images",
  "--repo repo oci images --json",
  "--repo repo oci inspect web/app:1",
  "--repo old oci inspect web/app:1",
  "--repo repo oci inspect web/app:1 --manifest",
  "--repo repo oci inspect @MANIFEST --config",
  "--repo repo oci inspect web/app:1 --manifest --config",
  "--repo repo oci inspect @CONFIG",
  "--repo repo oci inspect nothing",
  "--repo repo oci inspect @nothing",
  "--repo repo oci tag MANIFEST a@b",
  "--repo repo oci tag MANIFEST @b",
  "--repo repo oci tag nothing b",
  "--repo repo oci tag MANIFEST %2F/x",
  "--repo repo oci inspect %2F/x --config",
  "--repo repo oci untag a@b",
  "--repo repo oci untag a@b",
  "--repo repo oci untag %2F/x",
  "--repo repo oci layer LOWER --json",
  "--repo repo oci layer LOWER --dumpfile",
  "--repo repo oci layer UPPER --dumpfile",
  "--repo repo oci layer UPPER",
  "--repo repo oci layer UPPER --json --dumpfile",
  "--repo repo oci layer NOTHING",
  "--repo repo oci dump web/app:1",
  "--repo repo oci dump @CONFIG --bootable --xattrs keep-user-xattrs",
  "--repo repo oci dump @MANIFEST",
  "--repo repo oci compute-id web/app:1",
  "--repo repo oci compute-id @CONFIG --bootable",
  "--repo repo --erofs-version 2 oci compute-id web/app:1",
  "--repo old oci compute-id web/app:1 --bootable --xattrs keep-user-xattrs",
  "--repo repo oci compute-id web/app:1 ZEROS",
  "--repo repo oci compute-id web/app:1 zz",
  "--repo repo oci compute-id @CONFIG ZEROS",
  "--repo repo oci pull oci:layout boot --bootable --expected-digest ZEROS",
  "--repo repo oci pull oci:layout boot --bootable --expected-digest BOOT2",
  "--repo repo oci pull oci:layout boot --bootable --expected-digest BOOT2",
  "--repo repo oci inspect boot",
  "--repo repo oci pull oci:layout boot --bootable",
  "--repo repo oci mount nothing mnt",
  "--repo repo oci mount web/app:1 nowhere",
  "init other --insecure --algorithm fsverity-sha256-12",
  "--repo other oci copy web/app:1 --from repo --name copied --zerocopy",
  "--repo other oci copy web/app:1",
  "--repo other oci copy nothing --from repo",
  "--repo other oci copy web/app:1 --from repo --name copied",
  "--repo other oci dump copied",
  "init more --insecure",
  "--repo more oci copy @MANIFEST --from repo --zerocopy",
  "--repo more oci images",
  "--repo more oci import-layer UPPER one < upper.tar",
  "--repo more oci import-layer UPPER two < empty.tar",
  "--repo more cat refs/one",
  "--repo repo cat refs/oci/web%2Fapp:1",
  "--repo repo cat oci-config-CONFIG",
  "oci",
  "oci nothing",
  "oci pull",
];

/** What a program prints for each line, and how it ends. */
function transcript(runLine: typeof runPeer): string {
  const cwd = tempDir();
  for (const name of ["layout", "mnt"]) mkdirSync(join(cwd, name));
  writeOciLayout(join(cwd, "layout"), [LOWER, UPPER]);
  writeFileSync(join(cwd, "upper.tar"), UPPER);
  writeFileSync(join(cwd, "empty.tar"), "");
  const index = JSON.parse(readFileSync(join(cwd, "layout/index.json"), "utf8"));
  const [{ digest }] = index.manifests;
  const blob = readFileSync(join(cwd, "layout/blobs", digest.replace(":", "/")), "utf8");
  const names: Readonly<Record<string, string>> = {
    ...{ MANIFEST: digest, CONFIG: JSON.parse(blob).config.digest },
    ...{ LOWER: sha256(LOWER), UPPER: sha256(UPPER), NOTHING, ZEROS },
  };
  let boot2 = "";
  const parts = LINES.map((line) => {
    const spelled = line.replace(/[A-Z]+2?/g, (word) => (word === "BOOT2" ? boot2 : names[word]!));
    const [command = "", stdin] = spelled.split(" < ");
    const input = stdin === undefined ? {} : { stdin: readFileSync(join(cwd, stdin)) };
    const { stdout, status } = runLine(command.split(" "), { cwd, ...input });
    const text = stdout.toString("latin1");
    if (line.endsWith("@CONFIG --bootable")) boot2 = bootDigest(runLine, cwd);
    return `$ cfsctl ${line}\n${masked(text)}${status === 0 ? "" : `[${status}]\n`}`;
  });
  return parts.join("");
}

function bootDigest(runLine: typeof runPeer, cwd: string): string {
  const options = ["--repo", "repo", "--erofs-version", "2"];
  const done = runLine([...options, "oci", "compute-id", "web/app:1", "--bootable"], { cwd });
  return done.stdout.toString().trim();
}

/** Digests of streams depend on the version of zstd, and composefs-rs's on more. */
function masked(text: string): string {
  return text
    .replace(/^(verity  |(?:Manifest|Config) verity:) .*$/gm, "$1 …")
    .replace(/"verity": ".*"/, '"verity": …')
    .replace(/^sha512:.*$/m, "sha512:…");
}

test("cfsctl oci: what it prints does not change unseen", async () => {
  await expect(transcript(runCfsctl)).toMatchFileSnapshot("cfsctl-oci.txt");
}, 120_000);

needsThat(cfsctlMissing).test(
  "cfsctl oci prints what composefs-rs's prints, and ends as it does",
  () => {
    expect(transcript(runCfsctl)).toBe(transcript(runPeer));
  },
  240_000,
);

describe("cfsctl oci, where it is stricter", () => {
  test("a layer has to be the one that its digest says", () => {
    const cwd = tempDir();
    expect(runCfsctl(["init", "repo", "--insecure"], { cwd }).status).toBe(0);
    const args = ["--repo", "repo", "oci", "import-layer", sha256(LOWER), "name"];
    const done = runCfsctl(args, { cwd, stdin: UPPER });
    expect(done).toMatchObject({ status: 1, stdout: Buffer.alloc(0) });
    expect(done.stderr).toContain(`its diff ID is ${sha256(UPPER)}`);
    expect(run("find", [join(cwd, "repo"), "-type", "l"]).stdout.toString()).toBe("");
  });

  test("a tag names what is there", () => {
    const cwd = tempDir();
    expect(runCfsctl(["init", "repo", "--insecure"], { cwd }).status).toBe(0);
    expect(runCfsctl(["--repo", "repo", "oci", "tag", NOTHING, "name"], { cwd }).status).toBe(1);
    expect(runCfsctl(["--repo", "repo", "oci", "images"], { cwd }).stdout.toString()).toBe(
      "No images found\n",
    );
  });
});

needs("root", "mount", "erofs", "overlay").test("cfsctl oci mount: shows the files", () => {
  const cwd = tempDir();
  for (const name of ["layout", "mnt"]) mkdirSync(join(cwd, name));
  writeOciLayout(join(cwd, "layout"), [LOWER, UPPER]);
  const repo = (...args: string[]) => runCfsctl(["--repo", "repo", ...args], { cwd });
  expect(repo("init", "--insecure").status).toBe(0);
  const pulled = repo("oci", "pull", "oci:layout", "web", "--bootable").stdout.toString();
  const digest = /^manifest (.*)$/m.exec(pulled)![1]!;
  for (const [args, kernel] of [
    [["web", "mnt"], "gone"],
    [[digest, "mnt", "--bootable"], undefined],
  ] as const) {
    expect(repo("oci", "mount", ...args)).toMatchObject({ status: 0, stderr: "" });
    try {
      expect(readFileSync(join(cwd, "mnt/usr/large"))).toEqual(Buffer.alloc(5000, "large"));
      const found = run("cat", [join(cwd, "mnt/boot/kernel")]).stdout.toString();
      expect(found).toBe(kernel ?? "");
    } finally {
      expect(run("umount", [join(cwd, "mnt")]).status).toBe(0);
    }
  }
});
