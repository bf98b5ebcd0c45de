/** fsck of pulled OCI images, and their repair: from the layout they came from, and from other repositories. */

import {
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { basename, dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { bin, runProgram } from "../../cli/programs.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import { writeOciLayout } from "../../support/layers.ts";
import { archive, member } from "../../support/tar-bytes.ts";
import { needs } from "../../support/needs.ts";
import { skopeoCopy } from "../../support/skopeo.ts";
import { tempDir } from "../../support/temp.ts";

interface Json {
  readonly ok: boolean;
  readonly findings: { kind: string; where: string; digest: string | null }[];
  readonly hurt: { name: string; isUnusable: boolean; files: string[]; objects: string[] }[];
  readonly repaired?: { digest: string; from: string }[];
  readonly failures?: string[];
}

let layout: string;
let pristine: string;

beforeAll(() => {
  const root = tempDir();
  layout = join(root, "layout");
  mkdirSync(layout);
  writeOciLayout(layout, [layerA(), layerB()]);
  pristine = join(root, "pristine");
  const made = runProgram("composefs", ["repo", "init", "--verity=missing-allowed", pristine]);
  expect(made.stderr).toBe("");
  const pulled = runProgram("composefs", ["pull", "--repo", pristine, `oci:${layout}`, "--quiet"]);
  expect(pulled.stderr).toBe("");
});

const file = (n: number): string => `file ${n} `.repeat(500);

function layerA(): Uint8Array {
  return archive(
    member({ name: "usr/", typeflag: "5", mode: 0o755 }),
    member({ name: "usr/one" }, file(1)),
    member({ name: "usr/two" }, file(2)),
    member({ name: "usr/hidden" }, file(3)),
  );
}

function layerB(): Uint8Array {
  return archive(member({ name: "usr/hidden" }, file(4)));
}

/** A copy that may be damaged. */
function copy(): string {
  const directory = join(tempDir(), "repository");
  cpSync(pristine, directory, { recursive: true, verbatimSymlinks: true });
  return directory;
}

function fsck(repository: string, ...args: string[]): Json & { status: number } {
  const done = runProgram("composefs", ["repo", "fsck", "--json", "--repo", repository, ...args]);
  expect(done.stderr).toBe("");
  return { ...(JSON.parse(done.stdout.toString()) as Json), status: done.status };
}

/** The file of the object with this content. */
function objectWith(repository: string, content: string): string {
  const files = readdirSync(join(repository, "objects"), { recursive: true, encoding: "utf8" });
  const found = files.find((name) => {
    const path = join(repository, "objects", name);
    return name.length > 10 && readFileSync(path, "utf8") === content;
  });
  return join(repository, "objects", found!);
}

function objectOf(repository: string, link: string): string {
  const path = join(repository, link);
  return join(dirname(path), readlinkSync(path));
}

function digestOf(path: string): string {
  return basename(dirname(path)) + basename(path);
}

function entry(repository: string, category: string, prefix: string): string {
  return `${category}/${readdirSync(join(repository, category)).find((name) => name.startsWith(prefix))!}`;
}

/** As `fsck`, while this process goes on. */
async function start(repository: string, ...args: string[]): Promise<Json & { status: number }> {
  const all = ["repo", "fsck", "--json", "--repo", repository, ...args];
  const child = spawn(bin("composefs"), all, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const [status] = (await once(child, "close")) as [number];
  return { ...(JSON.parse(text) as Json), status };
}

const tag = (): string => `oci:${layout}`;

test("fsck: a pulled image is sound, deep down too", () => {
  expect(fsck(pristine, "--deep")).toMatchObject({ ok: true, findings: [], hurt: [], status: 0 });
});

test("repair: files of an image come back from where it came from, and only these are fetched", () => {
  const repository = copy();
  const damaged = objectWith(repository, file(2));
  writeFileSync(damaged, file(2).replace("2", "x"));
  const found = fsck(repository);
  expect(found.status).toBe(6);
  expect(found.hurt).toEqual([
    {
      name: tag(),
      isUnusable: false,
      files: ["/usr/two"],
      fileCount: 1,
      objects: [digestOf(damaged)],
    },
  ]);
  const repaired = fsck(repository, "--repair");
  expect(repaired).toMatchObject({ ok: true, failures: [], status: 0 });
  expect(repaired.repaired).toEqual([{ digest: digestOf(damaged), from: "where it came from" }]);
  expect(readFileSync(damaged, "utf8")).toBe(file(2));
  expect(fsck(repository, "--deep").ok).toBe(true);
});

test("repair: a file that an upper layer hides is named with its layer", () => {
  const repository = copy();
  rmSync(objectWith(repository, file(3)));
  const { hurt } = fsck(repository);
  expect(hurt[0]!.files).toEqual([
    expect.stringMatching(/^oci-layer-sha256:[0-9a-f]{64}:usr\/hidden$/),
  ]);
  expect(fsck(repository, "--repair").ok).toBe(true);
});

test("repair: objects come from another repository, and nothing is believed", () => {
  const repository = copy();
  const damaged = objectWith(repository, file(1));
  const other = copy();
  const lying = copy();
  writeFileSync(objectWith(lying, file(1)), "lie");
  writeFileSync(damaged, "damaged");
  const args = ["--repair", "--from", lying, "--from", other, "--source", "oci:/nowhere"];
  const { ok, repaired } = fsck(repository, ...args);
  expect(ok).toBe(true);
  expect(repaired).toEqual([{ digest: digestOf(damaged), from: expect.any(String) }]);
});

test("repair: an EROFS image is made again of its layers", () => {
  for (const damage of ["object", "missing", "entry"]) {
    const repository = copy();
    const link = `images/${readdirSync(join(repository, "images")).find((name) => name.length > 60)!}`;
    const object = objectOf(repository, link);
    if (damage === "object") writeFileSync(object, "damaged");
    else rmSync(object);
    if (damage === "entry") rmSync(join(repository, link));
    expect(fsck(repository).hurt).toMatchObject([{ name: tag(), isUnusable: true }]);
    const done = fsck(repository, "--repair", "--source", "oci:/nowhere", "--deep");
    expect(done.ok).toBe(true);
  }
});

test("repair: streams of layers, config and manifest are pulled again", () => {
  for (const prefix of ["oci-layer-", "oci-config-", "oci-manifest-"]) {
    for (const damage of ["object", "missing"]) {
      const repository = copy();
      const object = objectOf(repository, entry(repository, "streams", prefix));
      if (damage === "object") writeFileSync(object, "damaged");
      else rmSync(object);
      const found = fsck(repository);
      expect(found.hurt).toMatchObject([{ name: tag(), isUnusable: prefix !== "oci-layer-" }]);
      const done = fsck(repository, "--repair", "--deep");
      expect(done).toMatchObject({ ok: true, failures: [] });
    }
  }
});

test("repair: the documents themselves come back", () => {
  for (const needle of ['"diff_ids"', '"schemaVersion"']) {
    const repository = copy();
    const files = readdirSync(join(repository, "objects"), { recursive: true, encoding: "utf8" });
    const object = files.find((name) => {
      if (name.length < 60) return false;
      const text = readFileSync(join(repository, "objects", name), "utf8");
      return text.startsWith("{") && text.includes(needle);
    })!;
    writeFileSync(join(repository, "objects", object), "{}");
    expect(fsck(repository).hurt).toMatchObject([{ name: tag(), isUnusable: true }]);
    expect(fsck(repository, "--repair")).toMatchObject({ ok: true, failures: [] });
  }
});

test("repair: what is lost is told, and the rest is repaired all the same", () => {
  const repository = copy();
  rmSync(objectWith(repository, file(1)));
  const link = `images/${readdirSync(join(repository, "images")).find((name) => name.length > 60)!}`;
  writeFileSync(objectOf(repository, link), "damaged");
  const done = runProgram("composefs", [
    "repo",
    "fsck",
    "--repair",
    "--repo",
    repository,
    "--source",
    "oci:/nowhere",
  ]);
  expect(done.status).toBe(6);
  expect(done.stdout.toString()).toMatch(/^Repaired object [0-9a-f]{128} out of its layers\n/);
  expect(done.stdout.toString()).toContain("lacks the content of files:\n  /usr/one\n");
  expect(done.stderr).toMatch(/^error: cannot repair image oci:/);
});

test("repair: a source that has another image by now is refused, and the tag stays", () => {
  const repository = copy();
  const other = join(tempDir(), "layout");
  mkdirSync(other);
  writeOciLayout(other, [layerA()]);
  const ref = readdirSync(join(repository, "streams/refs/oci"))[0]!;
  const before = readlinkSync(join(repository, "streams/refs/oci", ref));
  rmSync(objectOf(repository, entry(repository, "streams", "oci-layer-")));
  const done = runProgram("composefs", [
    "repo",
    "fsck",
    "--repair",
    "--repo",
    repository,
    "--source",
    `oci:${other}`,
  ]);
  expect(done.stderr).toContain("another one by now");
  expect(done.status).toBe(6);
  expect(readlinkSync(join(repository, "streams/refs/oci", ref))).toBe(before);
});

needs("docker-registry", "skopeo").test(
  "repair: a registry is asked for the very image that was pulled, though its tag has moved on",
  async () => {
    const registry = await startRegistry();
    const name = `${registry.host}/some/image:v1`;
    const push = (from: string): void =>
      skopeoCopy(`oci:${from}`, `docker://${name}`, "--dest-tls-verify=false");
    push(layout);
    const repository = join(tempDir(), "repository");
    runProgram("composefs", ["repo", "init", "--verity=missing-allowed", repository]);
    const args = ["--quiet", "--repo", repository, "--tls-verify=false", name, "mine"];
    expect(runProgram("composefs", ["pull", ...args]).stderr).toBe("");
    const other = join(tempDir(), "layout");
    mkdirSync(other);
    writeOciLayout(other, [layerA()]);
    push(other);
    // A file of the one layer, the stream of the other, and the EROFS image.
    writeFileSync(objectWith(repository, file(1)), "damaged");
    rmSync(objectWith(repository, file(4)));
    rmSync(objectOf(repository, entry(repository, "streams", "oci-config-")));
    expect(fsck(repository).hurt[0]).toMatchObject({ name: "mine", isUnusable: true });
    const done = await start(repository, "--repair", "--tls-verify=false");
    expect(done).toMatchObject({ ok: true, failures: [], status: 0 });
    expect(fsck(repository, "--deep").ok).toBe(true);
  },
  60_000,
);
