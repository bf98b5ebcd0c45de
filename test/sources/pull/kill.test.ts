/** Pulls that are killed, and pulls beside each other and a garbage collection: in processes of their own. */

import { spawn } from "node:child_process";
import { expect } from "vitest";
import { LayoutWriter, pattern } from "../../support/images.ts";
import { needs } from "../../support/needs.ts";
import { run } from "../../support/run.ts";
import { archive, header, member } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";
import { bin } from "../../cli/programs.ts";
import { damageOf, makeRepository, objectsOf } from "./support.ts";

/** More with COMPOSEFS_KILLS: 200, say. */
const KILLS = Number(process.env["COMPOSEFS_KILLS"] ?? 15);

const directory = header({ name: "usr/", typeflag: "5", mode: 0o755 });
const files = (seed: number, count: number): Buffer[] =>
  Array.from({ length: count }, (_, i) =>
    member({ name: `usr/file-${seed}-${i}` }, pattern(1000 + 977 * (i % 40), seed * 1000 + i)),
  );
const COMMON = archive(directory, ...files(1, 600));
const LARGE = archive(member({ name: "usr/large" }, pattern(12_000_000, 5)));

/** A layout with some images that share their lowest layers. */
function makeLayout(images: number): string {
  const path = tempDir();
  const writer = new LayoutWriter(path);
  for (let i = 0; i < images; i++) {
    writer.tag(writer.image([COMMON, archive(...files(10 + i, 150)), LARGE]), `image-${i}`);
  }
  return path;
}

function composefs(repository: string, ...args: string[]): ReturnType<typeof run> {
  return run(bin("composefs"), args, { env: { COMPOSEFS_REPO: repository } });
}

const long = needs("time");

interface Ended {
  readonly status: number | null;
  readonly stderr: string;
}

/** Starts a command; it is killed after some milliseconds, if told so. */
function start(repository: string, args: readonly string[], killAfter?: number): Promise<Ended> {
  const child = spawn(bin("composefs"), args, {
    env: { ...process.env, COMPOSEFS_REPO: repository },
    stdio: ["ignore", "ignore", "pipe"],
    // Of its own, so that the kill reaches the program and not only its launcher.
    detached: true,
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const timer =
    killAfter === undefined
      ? undefined
      : setTimeout(() => process.kill(-child.pid!, "SIGKILL"), killAfter);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", () => clearTimeout(timer));
    child.on("close", (status) => resolve({ status, stderr }));
  });
}

/** Whole by our own check and by fsck. */
function expectWhole(repository: string): void {
  expect(damageOf(repository)).toEqual([]);
  const fsck = composefs(repository, "repo", "fsck");
  expect([fsck.status, fsck.stderr]).toEqual([0, ""]);
}

long.test(
  `${KILLS} kills at random moments of a pull leave a whole repository, and garbage that is collected`,
  async () => {
    const image = `oci:${makeLayout(1)}:image-0`;
    const fresh = makeRepository();
    const before = performance.now();
    expect(composefs(fresh, "pull", "-q", image, "image").stderr).toBe("");
    const whole = performance.now() - before;

    const repository = makeRepository();
    let killed = 0;
    for (let i = 0; i < KILLS; i++) {
      // Spread evenly, so that every part of a pull is met.
      const moment = whole * ((i + Math.random()) / KILLS);
      const { status } = await start(repository, ["pull", "-q", image, "image"], moment);
      if (status !== 0) killed++;
      expect(damageOf(repository)).toEqual([]);
      if (i % 5 === 4) expectWhole(repository);
      // Now and then from the start.
      if (status === 0 || i % 3 === 2) {
        if (status === 0) composefs(repository, "untag", "image");
        expect(composefs(repository, "repo", "gc").stderr).toBe("");
        expect(objectsOf(repository)).toEqual([]);
      }
    }
    expect(killed).toBeGreaterThan(0);
    const done = composefs(repository, "pull", "-q", image, "image");
    expect([done.status, done.stderr]).toEqual([0, ""]);
    expectWhole(repository);
    expect(composefs(repository, "repo", "gc").status).toBe(0);
    expect(objectsOf(repository).sort()).toEqual(objectsOf(fresh).sort());
  },
  600_000,
);

long.test(
  "eight pulls and garbage collections at once leave all images whole",
  async () => {
    const layout = makeLayout(8);
    const repository = makeRepository();
    let pulling = true;
    const pulls = Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        start(repository, ["pull", "-q", `oci:${layout}:image-${i}`, `image-${i}`]),
      ),
    ).finally(() => (pulling = false));
    const collections: Ended[] = [];
    while (pulling) collections.push(await start(repository, ["repo", "gc"]));
    expect(await pulls).toEqual(Array.from({ length: 8 }, () => ({ status: 0, stderr: "" })));
    expect(collections.map(({ status }) => status)).toEqual(collections.map(() => 0));
    expectWhole(repository);
    const { stdout } = composefs(repository, "images", "--json");
    const images = JSON.parse(stdout.toString()) as { name: string; damage: unknown }[];
    expect(images.map(({ name, damage }) => [name, damage])).toEqual(
      Array.from({ length: 8 }, (_, i) => [`image-${i}`, null]),
    );
    const names = images.map(({ name }) => name);
    expect(composefs(repository, "rm", ...names).status).toBe(0);
    expect(composefs(repository, "repo", "gc").status).toBe(0);
    expect(objectsOf(repository)).toEqual([]);
  },
  300_000,
);
