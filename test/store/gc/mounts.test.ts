/** Garbage collection below real mounts: what is mounted stays readable, wherever it is mounted. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import type { FsVerityDigest } from "#src/core/mod.ts";
import { mountComposefs } from "#src/mount/mod.ts";
import { collectGarbage, findLiveMounts } from "#src/store/gc/mod.ts";
import { parseMountInfo } from "#src/store/gc/mountinfo.ts";
import { unmountAll } from "../../mount/sample.ts";
import { cfsctlMissing } from "../../support/cfsctl.ts";
import { needs, needsThat } from "../../support/needs.ts";
import { run } from "../../support/run.ts";
import { SampleRepository } from "../sample.ts";

/** A repository with an image that nothing refers to, and another one; and where to mount. */
interface Scene {
  readonly repository: SampleRepository;
  readonly file: FsVerityDigest;
  readonly image: FsVerityDigest;
  readonly target: string;
}

const CONTENT = "x".repeat(100);

let scene: Scene | undefined;
let child: ChildProcess | undefined;

afterEach(() => {
  child?.kill("SIGKILL");
  child = undefined;
  if (scene !== undefined) unmountAll(scene.repository.directory);
});

function makeScene(): Scene {
  const repository = new SampleRepository();
  const file = repository.put(CONTENT);
  const image = repository.image([file]);
  repository.image([file, repository.put("of another image, which is not mounted")]);
  const target = repository.at("../target");
  mkdirSync(target);
  scene = { repository, file, image, target };
  return scene;
}

async function collect(repository: SampleRepository): Promise<void> {
  await collectGarbage(repository, { now: Date.now() });
}

const mounting = needs("root", "mount", "erofs", "overlay");

mounting.test("gc: a mounted image stays, and goes when it is unmounted", async () => {
  const { repository, file, image, target } = makeScene();
  mountComposefs({
    image: byteString(repository.objectFile(image)),
    target: byteString(target),
    basedirs: [byteString(repository.at("objects"))],
  });
  await collect(repository);
  expect(repository.objects()).toEqual([file, image].sort());
  expect(readFileSync(join(target, "0"), "utf8")).toBe(CONTENT);
  unmountAll(repository.directory);
  unmountAll(target);
  await collect(repository);
  expect(repository.objects()).toEqual([]);
});

mounting.test("gc: a mount in another mount namespace counts", async () => {
  const { repository, file, image, target } = makeScene();
  const script = `./bin/composefs mount --basedir="$0" "$1" "$2" && echo ready && cat >/dev/null`;
  const args = [repository.at("objects"), repository.objectFile(image), target];
  child = spawn("unshare", ["--mount", "sh", "-c", script, ...args], {
    stdio: ["pipe", "pipe", 2],
  });
  await once(child.stdout!, "data");
  await collect(repository);
  expect(repository.objects()).toEqual([file, image].sort());
});

mounting.test("gc: below an upper directory any image could be: all stay", async () => {
  const { repository, image, target } = makeScene();
  mkdirSync(repository.at("upper"));
  mkdirSync(repository.at("work"));
  const garbage = repository.put("garbage");
  const before = repository.objects();
  mountComposefs({
    image: byteString(repository.objectFile(image)),
    target: byteString(target),
    basedirs: [byteString(repository.at("objects"))],
    upperdir: byteString(repository.at("upper")),
    workdir: byteString(repository.at("work")),
  });
  await collect(repository);
  expect(repository.objects()).toEqual(before.filter((digest) => digest !== garbage));
});

mounting.test("gc: a mounted image that is not in the repository keeps all objects", async () => {
  const { repository, image, target } = makeScene();
  mountComposefs({
    image: byteString(repository.objectFile(image)),
    target: byteString(target),
    basedirs: [byteString(repository.at("objects"))],
  });
  rmSync(repository.at("images", image));
  rmSync(repository.objectFile(image));
  const before = repository.objects();
  await collect(repository);
  expect(repository.objects()).toEqual(before);
  expect(readFileSync(join(target, "0"), "utf8")).toBe(CONTENT);
});

mounting.test("gc: a mount of another repository is none of ours", async () => {
  const other = makeScene();
  mountComposefs({
    image: byteString(other.repository.objectFile(other.image)),
    target: byteString(other.target),
    basedirs: [byteString(other.repository.at("objects"))],
  });
  const repository = new SampleRepository("sha512");
  repository.put("garbage");
  await collect(repository);
  expect(repository.objects()).toEqual([]);
});

needsThat(mounting.reason ?? cfsctlMissing).test("gc: what cfsctl has mounted stays", async () => {
  const { repository, file, image, target } = makeScene();
  const args = ["--insecure", "--repo", repository.directory, "mount", image, target];
  expect(run(process.env["COMPOSEFS_CFSCTL"]!, args).stderr).toBe("");
  await collect(repository);
  expect(repository.objects()).toEqual([file, image].sort());
  expect(readFileSync(join(target, "0"), "utf8")).toBe(CONTENT);
});

test("gc: reads mountinfo with blanks, commas and missing fields", () => {
  const text = [
    "45 27 0:40 / /a\\040b ro,relatime shared:1 - overlay composefs ro,lowerdir=/x::/y\\054z,verity=require",
    "46 27 0:41 / /c rw - ext4 /dev/vda rw",
    "47 27 0:42 / /d rw - overlay",
    "",
    "nonsense",
  ].join("\n");
  expect(parseMountInfo(text, "7", new Set(["overlay"]))).toEqual([
    {
      pid: "7",
      device: "0:40",
      root: "/",
      mountPoint: "/a b",
      fileSystem: "overlay",
      source: "composefs",
      options: ["ro", "lowerdir=/x::/y,z", "verity=require"],
    },
    {
      pid: "7",
      device: "0:42",
      root: "/",
      mountPoint: "/d",
      fileSystem: "overlay",
      source: "",
      options: [""],
    },
  ]);
});

test("gc: looks for mounts wherever it runs", () => {
  const repository = new SampleRepository();
  const { foreignImages } = findLiveMounts(repository, new Map());
  expect(foreignImages).toEqual([]);
});
