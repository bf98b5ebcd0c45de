import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  assertWritable,
  close,
  discardTemporaryFile,
  linkTemporaryFile,
  openat,
  replaceSymlink,
} from "#src/floor/mod.ts";
import type { Fd } from "#src/floor/mod.ts";
import { needs } from "../support/needs.ts";
import { run } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";

function open(path: string): Fd {
  return openat(AT_FDCWD, path, O_RDONLY);
}

describe("replaceSymlink", () => {
  test("makes one, and puts it over a symlink or a file, and nothing else stays", () => {
    const dir = tempDir();
    const dirfd = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    replaceSymlink("one", dirfd, "link");
    expect(readlinkSync(join(dir, "link"))).toBe("one");
    replaceSymlink("two", dirfd, "link");
    expect(readlinkSync(join(dir, "link"))).toBe("two");
    writeFileSync(join(dir, "file"), "");
    replaceSymlink("three", dirfd, "file");
    expect(readlinkSync(join(dir, "file"))).toBe("three");
    mkdirSync(join(dir, "directory"));
    expect(() => replaceSymlink("four", dirfd, "directory")).toThrow(/EISDIR/);
    expect(() => replaceSymlink("five", dirfd, "not/there")).toThrow(/ENOENT/);
    expect(readdirSync(dir).sort()).toEqual(["directory", "file", "link"]);
    close(dirfd);
  });
});

describe("linkTemporaryFile", () => {
  test("gives a file one more name, which can be removed again", () => {
    const dir = tempDir();
    const dirfd = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    writeFileSync(join(dir, "file"), "content");
    const source = open(join(dir, "file"));
    const file = linkTemporaryFile(source, dirfd)!;
    close(source);
    expect(readFileSync(join(dir, file.name!), "utf8")).toBe("content");
    expect(statSync(join(dir, "file")).nlink).toBe(2);
    discardTemporaryFile(file, dirfd);
    expect(readdirSync(dir)).toEqual(["file"]);
    close(dirfd);
  });

  const otherFileSystem = existsSync("/dev/shm") ? "/dev/shm" : undefined;
  test.runIf(otherFileSystem !== undefined)("says where that is not possible", () => {
    const dirfd = openat(AT_FDCWD, otherFileSystem!, O_RDONLY | O_DIRECTORY);
    writeFileSync(join(tempDir(), "file"), "");
    const source = open("/proc/self/exe");
    expect(linkTemporaryFile(source, dirfd)).toBeUndefined();
    close(source);
    close(dirfd);
  });
});

describe("assertWritable", () => {
  test("passes where this process may write, and names what is not there", () => {
    const dir = tempDir();
    assertWritable(AT_FDCWD, dir);
    symlinkSync("nowhere", join(dir, "link"));
    expect(() => assertWritable(AT_FDCWD, join(dir, "link"))).toThrow(/ENOENT/);
  });

  needs("root", "mount").test("hears of a mount that is read-only, as root", () => {
    const script = `
      import { assertWritable } from "${new URL("../../dist/floor/mod.js", import.meta.url).href}";
      try { assertWritable(-100, process.argv[1]); } catch (error) { console.log(error.errnoName); }`;
    const dir = tempDir();
    const done = run("unshare", [
      "--mount",
      "sh",
      "-c",
      `mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && "$2" --input-type=module -e "$3" "$1"`,
      "sh",
      dir,
      process.execPath,
      script,
    ]);
    expect(done.stderr).toBe("");
    expect(done.stdout.toString()).toBe("EROFS\n");
  });
});
