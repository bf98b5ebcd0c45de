/** `composefs repo`, seen from outside. */

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import { AT_FDCWD, O_RDONLY, close, flock, openat } from "#src/floor/mod.ts";
import { Repository } from "#src/store/mod.ts";
import { tempDir } from "../support/temp.ts";
import { bin, runProgram } from "./programs.ts";

function composefs(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const done = runProgram("composefs", args, { env: { COMPOSEFS_REPO: "", ...env } });
  return { status: done.status, stdout: done.stdout.toString(), stderr: done.stderr };
}

const INIT = ["repo", "init", "--verity=missing-allowed"];

describe("composefs repo init", () => {
  test("makes a repository, and finds it the next time", () => {
    const path = join(tempDir(), "repo");
    expect(composefs([...INIT, path])).toEqual({
      status: 0,
      stderr: "",
      stdout: `Made repository "${path}"\n  digests  sha512\n  verity   missing-allowed\n  formats  V1\n`,
    });
    expect(composefs([...INIT, path]).stdout).toMatch(/^There is already/);
    expect(composefs([...INIT, "--algorithm=sha256", path])).toMatchObject({ status: 1 });
  });

  test("--json says what there is now; format versions are repeated", () => {
    const path = join(tempDir(), "repo");
    const args = ["--json", "--repo", path, "--erofs-version=2", "--erofs-version=1"];
    const { stdout } = composefs([...INIT, ...args]);
    expect(JSON.parse(stdout)).toEqual({
      outcome: "created",
      path,
      algorithm: "sha512",
      verity: "missing-allowed",
      erofsFormats: { default: 2, extra: [1] },
    });
    expect(JSON.parse(readFileSync(join(path, "meta.json"), "utf8"))).toMatchObject({
      erofs_formats: { default: 2, extra: [1] },
    });
  });

  test("the user's place is made with its parents; others are not", () => {
    const HOME = tempDir();
    expect(composefs([...INIT, "--user"], { HOME })).toMatchObject({ status: 0 });
    expect(composefs(["repo", "status", "--user"], { HOME }).stdout).toContain(
      `${HOME}/.var/lib/composefs`,
    );
    expect(composefs([...INIT, join(HOME, "not/there")])).toMatchObject({ status: 1 });
  });

  test("command lines that make no sense have status 2", () => {
    for (const args of [
      ["repo"],
      ["repo", "nothing"],
      [...INIT, "--repo", "a", "b"],
      [...INIT, "--repo", "a", "--user"],
      [...INIT, "--erofs-version=3", "a"],
      ["repo", "status", "--user", "--system"],
    ]) {
      expect(composefs(args), args.join(" ")).toMatchObject({ status: 2, stdout: "" });
    }
    expect(composefs(["repo"]).stderr).toMatch(/A command is missing/);
    expect(composefs(["repo", "nothing"]).stderr).toMatch(/Unknown command 'nothing'/);
    expect(composefs(["repo", "status", "--user"], { HOME: "" }).stderr).toMatch(/HOME is not set/);
  });
});

describe("composefs repo status", () => {
  test("counts what there is, by the environment's repository, too", async () => {
    const path = join(tempDir(), "repo");
    composefs([...INIT, path]);
    const repository = Repository.open(byteString(path));
    const transaction = repository.begin();
    const image = transaction.putImage(Buffer.alloc(5000));
    transaction.putStream(byteString("id"), Buffer.alloc(3000));
    for (const name of ["a", "b/c"]) {
      transaction.setRef("images", byteString(name), byteString(image));
    }
    await transaction.commit();
    repository.close();
    writeFileSync(join(path, "objects/strange"), "");
    writeFileSync(join(path, "objects/.tmp0123456789ab"), "");
    mkdirSync(join(path, "images/odd"));

    const status = composefs(["repo", "status", "--json"], { COMPOSEFS_REPO: path });
    expect(JSON.parse(status.stdout)).toEqual({
      path,
      algorithm: "sha512",
      verity: "missing-allowed",
      erofsFormats: { default: 1, extra: [] },
      features: { compatible: [], readOnlyCompatible: ["v1_erofs"], incompatible: [] },
      writable: true,
      objects: 2,
      objectBytes: 8000,
      images: 1,
      streams: 1,
      imageRefs: 2,
      streamRefs: 0,
      temporary: 1,
      strange: 2,
    });
    const { stdout } = composefs(["repo", "status", "--repo", path]);
    expect(stdout).toMatch(/^objects +2 of 7.81 KiB$/m);
    expect(stdout).toMatch(/^strange files +2$/m);
  });

  test("what requires more than there is has status 5; nothing there has 1", () => {
    const path = join(tempDir(), "repo");
    expect(composefs(["repo", "status", "--repo", path])).toMatchObject({ status: 1 });
    composefs([...INIT, path]);
    expect(composefs(["repo", "status", "--repo", path, "--require-verity"])).toMatchObject({
      status: 5,
      stderr: expect.stringContaining("does not require fs-verity"),
    });
  });

  test("waits for a process that removes, and says so", async () => {
    const path = join(tempDir(), "repo");
    composefs([...INIT, path]);
    const fd = openat(AT_FDCWD, path, O_RDONLY);
    expect(flock(fd, "exclusive", { wait: false })).toBe(true);
    const child = spawn(bin("composefs"), ["repo", "status", "--repo", path]);
    const said = await new Promise<string>((resolve) => {
      child.stderr.once("data", (data: Buffer) => resolve(data.toString()));
    });
    expect(said).toMatch(/^Waiting for a process that removes from repository/);
    close(fd);
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
  });
});
