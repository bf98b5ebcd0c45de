/** Containers out of a repository, run by a real runtime over real mounts. */

import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { byteString } from "#src/core/mod.ts";
import { openImageSource, pullImage } from "#src/sources/mod.ts";
import { Repository } from "#src/store/mod.ts";
import { runProgram } from "../cli/programs.ts";
import { writeOciLayout } from "../support/layers.ts";
import { needs } from "../support/needs.ts";
import { tempDir } from "../support/temp.ts";

const PROGRAMS = ["dash", "cat", "id", "touch"];
const LIBRARY = "usr/lib/shared.so";
const LIBRARY_SIZE = 4 << 20;

/** A root file system with a shell, and the same library in each, at another time in another layer. */
function makeArchive(mark: string): Uint8Array {
  const root = tempDir();
  const copy = (path: string): void => {
    const target = join(root, path.startsWith("/usr/") ? path : `/usr${path}`);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
  };
  for (const program of PROGRAMS) {
    copy(`/usr/bin/${program}`);
    const libraries = execFileSync("ldd", [`/usr/bin/${program}`]).toString();
    for (const [, path] of libraries.matchAll(/(\/\S+) \(0x/g)) copy(path!);
  }
  for (const name of ["bin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(root, name));
  for (const name of ["proc", "sys", "dev", "etc", "tmp"]) mkdirSync(join(root, name));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/root:/bin/dash\nweb:x:33:34::/:\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\nweb:x:34:\nmore:x:50:web\n");
  writeFileSync(join(root, "etc/mark"), `${mark}\n`);
  writeFileSync(join(root, LIBRARY), Buffer.alloc(LIBRARY_SIZE, "library"));
  const options = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner"];
  return execFileSync("tar", ["-C", root, "-c", ...options, "."], { maxBuffer: 1 << 28 });
}

const running = needs("root", "mount", "erofs", "overlay", "runc");

running.describe("composefs bundle", () => {
  let work = "";
  const made: string[] = [];

  const composefs = (...args: string[]) => {
    const done = runProgram("composefs", args, { cwd: work });
    return { status: done.status, stdout: done.stdout.toString(), stderr: done.stderr };
  };

  const bundle = (name: string, ...args: string[]): string => {
    const done = composefs("bundle", "--repo=repo", ...args.slice(0, 1), name, ...args.slice(1));
    expect(done).toEqual({ status: 0, stdout: "", stderr: "" });
    made.push(name);
    return join(work, name);
  };

  const run = (directory: string) => {
    const state = join(work, "runc");
    const name = `composefs-test-${process.pid}-${made.length}`;
    const done = spawnSync("runc", ["--root", state, "run", "--bundle", directory, name]);
    return {
      status: done.status,
      stdout: done.stdout.toString(),
      stderr: done.stderr.toString(),
    };
  };

  const pull = async (from: string, tag: string): Promise<void> => {
    const repo = Repository.open(byteString(join(work, "repo")));
    const source = await openImageSource(from);
    try {
      await pullImage(repo, source, { tag: byteString(tag) });
    } finally {
      await source.close();
      repo.close();
    }
  };

  beforeAll(async () => {
    work = tempDir();
    const init = composefs("repo", "init", "--verity=missing-allowed", "repo");
    expect(init.status, init.stderr).toBe(0);
    for (const name of ["one", "two"]) {
      mkdirSync(join(work, name));
      writeOciLayout(join(work, name), [makeArchive(name)]);
      await pull(`oci:${join(work, name)}`, `image-${name}`);
    }
  });

  afterAll(() => {
    for (const name of made) {
      if (existsSync(join(work, name))) composefs("unbundle", name);
    }
  });

  running.test("a runtime runs a command in it, and what it writes is in the upper layer", () => {
    const script = "cat /etc/mark; echo written >/tmp/new; cat /tmp/new";
    const directory = bundle("writable", "image-one", "/bin/dash", "--", "-c", script);
    expect(run(directory)).toEqual({ status: 0, stdout: "one\nwritten\n", stderr: "" });
    expect(readFileSync(join(directory, "upper/tmp/new"), "utf8")).toBe("written\n");

    expect(composefs("unbundle", "writable")).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(existsSync(directory)).toBe(false);
  });

  running.test("users are those of the image", () => {
    const directory = bundle("user", "image-one", "/usr/bin/id", "--run-as=web");
    expect(run(directory).stdout).toBe("uid=33(web) gid=34(web) groups=34(web),50(more)\n");
  });

  running.test("a read-only bundle refuses writes", () => {
    const directory = bundle("fixed", "image-one", "--read-only", "/usr/bin/touch", "/new");
    const done = run(directory);
    expect(done.status).toBe(1);
    expect(done.stderr).toContain("Read-only file system");
    expect(readdirSync(directory).sort()).toEqual(["config.json", "rootfs"]);
  });

  running.test("a directory that is not empty is refused, and left as it is", () => {
    mkdirSync(join(work, "full"));
    writeFileSync(join(work, "full/file"), "");
    const done = composefs("bundle", "--repo=repo", "image-one", "full", "/bin/cat");
    expect(done.status).toBe(1);
    expect(done.stderr).toContain("it is not empty");
    expect(readdirSync(join(work, "full"))).toEqual(["file"]);
  });

  needs("root", "mount", "erofs", "overlay", "runc", "fincore").test(
    "two containers share the page cache of a file that both images have",
    () => {
      const read = `cat /${LIBRARY} >/dev/null`;
      const first = bundle("first", "image-one", "/bin/dash", "--", "-c", read);
      const second = bundle("second", "image-two", "/usr/bin/cat", "/etc/mark");
      const library = join(second, "rootfs", LIBRARY);
      const cachedBytes = (): number =>
        Number(execFileSync("fincore", ["--bytes", "--noheadings", "--output=RES", library]));

      execFileSync("dd", [`if=${library}`, "iflag=nocache", "count=0"], { stdio: "ignore" });
      expect(cachedBytes()).toBe(0);
      // The first container reads it; the second has it in memory, and has not read a byte.
      expect(run(first).status).toBe(0);
      expect(cachedBytes()).toBe(LIBRARY_SIZE);
      expect(run(second).stdout).toBe("two\n");
    },
  );
});
