import { spawnSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  SyscallError,
  close,
  getXattr,
  getXattrAt,
  listXattrs,
  listXattrsAt,
  openat,
} from "#src/floor/mod.ts";
import { needs } from "../support/needs.ts";
import { tempDir } from "../support/temp.ts";

function setXattr(path: string, name: string, value: Uint8Array): void {
  const hex = `0x${Buffer.from(value).toString("hex")}`;
  const done = spawnSync("setfattr", ["-h", "-n", name, "-v", hex, path]);
  expect(done.status, done.stderr.toString()).toBe(0);
}

const BINARY = Uint8Array.from({ length: 256 }, (_, i) => i);

test("listXattrs: a file without xattrs has none", () => {
  const path = join(tempDir(), "f");
  writeFileSync(path, "");
  const fd = openat(AT_FDCWD, path, O_RDONLY);
  expect(listXattrs(fd)).toEqual([]);
  close(fd);
});

needs("setfattr", "root").test("listXattrs, getXattr: binary values come back whole", () => {
  const path = join(tempDir(), "f");
  writeFileSync(path, "");
  setXattr(path, "user.binary", BINARY);
  setXattr(path, "user.empty", new Uint8Array(0));
  setXattr(path, "trusted.x", Uint8Array.of(0, 0));
  const fd = openat(AT_FDCWD, path, O_RDONLY);
  expect([...listXattrs(fd)].sort()).toEqual(["trusted.x", "user.binary", "user.empty"]);
  expect(getXattr(fd, "user.binary")).toEqual(BINARY);
  expect(getXattr(fd, "user.empty")).toEqual(new Uint8Array(0));
  expect(() => getXattr(fd, "user.missing")).toThrow(SyscallError);
  close(fd);
});

needs("setfattr", "root").test(
  "listXattrsAt: a symlink shows its own xattrs, not its target's",
  () => {
    const path = tempDir();
    const name = Buffer.from("\xff", "latin1");
    writeFileSync(Buffer.concat([Buffer.from(`${path}/`), name]), "");
    setXattr(join(path, "."), "user.directory", BINARY);
    symlinkSync(name, join(path, "link"));
    setXattr(join(path, "link"), "trusted.link", BINARY);
    const dir = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    expect(listXattrsAt(dir, "link")).toEqual(["trusted.link"]);
    expect(getXattrAt(dir, "link", "trusted.link")).toEqual(BINARY);
    expect(listXattrsAt(dir, "\xff")).toEqual([]);
    expect(listXattrs(dir)).toEqual(["user.directory"]);
    close(dir);
  },
);
