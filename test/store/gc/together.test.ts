/** Garbage collection beside others, and killed in the middle: in processes of their own. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "vitest";
import { byteString } from "#src/core/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import { checkRepository } from "#src/store/fsck/mod.ts";
import type { FsckReport } from "#src/store/fsck/mod.ts";
import { Repository } from "#src/store/mod.ts";
import { bin, runProgram } from "../../cli/programs.ts";
import { cfsctlMissing } from "../../support/cfsctl.ts";
import { writeOciLayout } from "../../support/layers.ts";
import { needs } from "../../support/needs.ts";
import { CHECKOUT } from "../../support/shared.ts";
import { archive, member } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";
import { SampleRepository } from "../sample.ts";

const time = needs("time");
const WRITERS = 8;
const ROUNDS = 2;
const KILLS = 12;

async function check(directory: string): Promise<FsckReport> {
  const repository = Repository.open(byteString(directory));
  try {
    return await checkRepository(repository, { decompression: await loadZstd(), deep: true });
  } finally {
    repository.close();
  }
}

/** Ends with what the program wrote to standard error, or nothing if it succeeded. */
async function start(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const [status] = (await once(child, "close")) as [number | null];
  return status === 0 ? "" : `${program} ${args.join(" ")}: ${status}: ${text}`;
}

/** An image with a layer that all share, and one of its own. */
function makeLayout(directory: string, name: string): void {
  const shared = Array.from({ length: 40 }, (_, n) =>
    member({ name: `usr/shared-${n}` }, `shared ${n} `.repeat(200)),
  );
  const own = Array.from({ length: 40 }, (_, n) =>
    member({ name: `usr/${name}-${n}` }, `${name} ${n} `.repeat(200)),
  );
  mkdirSync(directory);
  writeOciLayout(directory, [
    archive(member({ name: "usr/", typeflag: "5", mode: 0o755 }), ...shared),
    archive(...own),
  ]);
}

time.test(
  "gc: eight writers, some of them cfsctl, and collectors all the while: nothing is lost",
  async () => {
    const root = tempDir();
    const directory = join(root, "repository");
    runProgram("composefs", ["repo", "init", "--verity=missing-allowed", directory]);
    let isWriting = true;
    const collecting = (async () => {
      const troubles: string[] = [];
      while (isWriting) {
        troubles.push(await start(bin("composefs"), ["repo", "gc", "--repo", directory]));
      }
      return troubles;
    })();
    const writers = Array.from({ length: WRITERS }, async (_, n) => {
      const troubles: string[] = [];
      const layout = join(root, `layout-${n}`);
      makeLayout(layout, `image-${n}`);
      const isPeer = cfsctlMissing === undefined && n % 4 === 3;
      for (let round = 0; round < ROUNDS; round++) {
        const [program, args] = isPeer
          ? [process.env["COMPOSEFS_CFSCTL"]!, ["--insecure", "--repo", directory, "oci", "pull"]]
          : [bin("composefs"), ["pull", "--quiet", "--repo", directory]];
        troubles.push(await start(program, [...args, `oci:${layout}`, `tag-${n}-${round}`]));
      }
      return troubles;
    });
    const troubles = (await Promise.all(writers)).flat();
    isWriting = false;
    troubles.push(...(await collecting));
    expect(troubles.filter((trouble) => trouble !== "")).toEqual([]);
    const report = await check(directory);
    expect(report.findings).toEqual([]);
    expect(report.ociImages).toEqual({ checked: WRITERS * ROUNDS, damaged: 0 });
  },
  180_000,
);

const url = (path: string): string =>
  JSON.stringify(pathToFileURL(join(CHECKOUT, "dist", path)).href);

const COLLECTOR = `
  import { Repository } from ${url("store/mod.js")};
  import { collectGarbage } from ${url("store/gc/mod.js")};
  const repository = Repository.open(process.argv[1]);
  const findMounts = () => ({ images: new Map(), unidentified: [], foreignImages: [] });
  process.stdout.write("ready");
  await collectGarbage(repository, { now: Date.now(), findMounts });
`;

time.test(
  "gc: killed at any moment: what refs lead to is whole, and so is every stream that has a name",
  async () => {
    const repository = new SampleRepository();
    const kept = repository.put("kept");
    const layer = repository.stream("kept", { objects: [kept] });
    repository.ref("streams", "kept", "kept");
    let interrupted = 0;
    for (let round = 0; round < KILLS; round++) {
      for (let n = 0; n < 60; n++) {
        const objects = [1, 2, 3].map((m) => repository.put(`${round} ${n} ${m}`));
        const name = `dead-${round}-${n}`;
        repository.stream(name, { objects, inline: name });
      }
      repository.unlock();
      const args = ["--input-type=module", "-e", COLLECTOR, repository.directory];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      const exit = once(child, "exit");
      await once(child.stdout, "data");
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
      child.kill("SIGKILL");
      await exit;
      const left = repository.objects();
      if (left.length > 2) interrupted++;
      expect(left).toContain(kept);
      expect(left).toContain(layer);
      const report = await check(repository.directory);
      expect(report.findings).toEqual([]);
    }
    expect(interrupted).toBeGreaterThan(0);
    const done = runProgram("composefs", ["repo", "gc", "--repo", repository.directory]);
    expect(done.status).toBe(0);
    expect(repository.objects()).toEqual([kept, layer].sort());
  },
  180_000,
);
