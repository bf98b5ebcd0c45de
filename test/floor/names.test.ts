import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  close,
  linkat,
  mkdirat,
  mkdiratIfMissing,
  openat,
  readDirectory,
  readlinkat,
  renameat,
  rmdirat,
  rmdiratIfEmpty,
  unlinkat,
  unlinkatIfExists,
} from "#src/floor/mod.ts";
import { tempDir } from "../support/temp.ts";

test("mkdirat, renameat, linkat, unlinkat, rmdirat, readlinkat do what they say", () => {
  const path = tempDir();
  mkdirSync(join(path, "a"));
  const dir = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  mkdirat(dir, "\xfe", 0o755);
  rmdirat(dir, "a");
  close(openat(dir, "f", O_CREAT | O_RDWR, 0o600));
  linkat(dir, "f", dir, "\xfe/g");
  renameat(dir, "f", dir, "h");
  expect(() => linkat(dir, "h", dir, "\xfe/g")).toThrow("EEXIST");
  unlinkat(dir, "h");
  symlinkSync(Buffer.from("\xff target", "latin1"), join(path, "link"));
  expect(readlinkat(dir, "link")).toBe("\xff target");
  const names = readDirectory(dir).map(({ name }) => name);
  expect(names.sort()).toEqual(["link", "\xfe"]);
  close(dir);
});

test("mkdiratIfMissing, unlinkatIfExists, rmdiratIfEmpty say whether there was something to do", () => {
  const dir = openat(AT_FDCWD, tempDir(), O_RDONLY | O_DIRECTORY);
  expect(mkdiratIfMissing(dir, "a", 0o755)).toBe(true);
  expect(mkdiratIfMissing(dir, "a", 0o755)).toBe(false);
  close(openat(dir, "a/f", O_CREAT | O_RDWR, 0o600));
  expect(rmdiratIfEmpty(dir, "a")).toBe(false);
  expect(unlinkatIfExists(dir, "a/f")).toBe(true);
  expect(unlinkatIfExists(dir, "a/f")).toBe(false);
  expect(rmdiratIfEmpty(dir, "a")).toBe(true);
  expect(rmdiratIfEmpty(dir, "a")).toBe(false);
  close(dir);
});

test("mkdiratIfMissing, unlinkatIfExists, rmdiratIfEmpty throw what else goes wrong", () => {
  const path = tempDir();
  writeFileSync(join(path, "file"), "");
  mkdirSync(join(path, "directory"));
  const dir = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  expect(() => mkdiratIfMissing(dir, "none/a", 0o755)).toThrow(
    'Cannot mkdir "none/a": no such file',
  );
  expect(() => unlinkatIfExists(dir, "directory")).toThrow('Cannot unlink "directory": ');
  expect(() => rmdiratIfEmpty(dir, "file")).toThrow(
    'Cannot rmdir "file": not a directory (ENOTDIR)',
  );
  close(dir);
});
