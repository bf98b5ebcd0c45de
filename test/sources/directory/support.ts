/** Directories for tests of the scan: made by byte paths, listed by byte paths. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { afterAll } from "vitest";
import { computeFsVerityDigest, formatDump, walkTree } from "#src/core/mod.ts";
import type { ByteString, Directory, FsVerityAlgorithm, Node } from "#src/core/mod.ts";
import {
  AT_FDCWD,
  DT,
  O_DIRECTORY,
  O_RDONLY,
  blockHash,
  close,
  lstatat,
  lstatatIfExists,
  mkdirat,
  openat,
  readDirectory,
} from "#src/floor/mod.ts";
import { tempDir } from "../../support/temp.ts";

const inMemory: string[] = [];

afterAll(() => {
  for (const path of inMemory) must("rm", "-rf", path);
  inMemory.length = 0;
});

/** A temporary directory for thousands of files: in memory where that is possible. */
export function roomyTempDir(): string {
  if (!existsSync("/dev/shm")) return tempDir();
  const path = mkdtempSync("/dev/shm/composefs-test-");
  inMemory.push(path);
  return path;
}

/** A path with one byte in each code unit, as Node takes it. */
export function nodePath(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

/** Bytes that differ from block to block, and from seed to seed. */
export function noise(length: number, seed: number): Buffer {
  const words = new Int32Array(Math.ceil(length / 4));
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}

/** Runs a command that must succeed. */
export function must(command: string, ...args: readonly (string | Buffer)[]): void {
  const done = spawnSync(command, args as string[]);
  if (done.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${done.stderr}`);
}

export function setXattr(path: string, name: string, value: Uint8Array): void {
  must("setfattr", "-h", "-n", name, "-v", `0x${Buffer.from(value).toString("hex")}`, path);
}

/** The node at `path` (`/a/b`). */
export function nodeAt(root: Directory, path: string): Node {
  for (const { path: found, node } of walkTree(root)) if (found === path) return node;
  throw new Error(`no ${path} in the tree`);
}

/** All paths of a tree. */
export function pathsOf(root: Directory): ByteString[] {
  return [...walkTree(root)].map(({ path }) => path);
}

/** The tree as a dump. */
export function dumpOf(root: Directory): string {
  return [...formatDump(root)].join("");
}

/** The fs-verity digest of a file's content. */
export function digestOfFile(path: string, algorithm: FsVerityAlgorithm = "sha256"): string {
  return computeFsVerityDigest(readFileSync(nodePath(path)), blockHash(algorithm));
}

/** Makes directories in each other, deeper than any path may be long. */
export function makeDeep(path: string, depth: number): void {
  let dir = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  for (let i = 0; i < depth; i++) {
    mkdirat(dir, "deeper", 0o755);
    const next = openat(dir, "deeper", O_RDONLY | O_DIRECTORY);
    close(dir);
    dir = next;
  }
  close(dir);
}

/** All files below a directory, relative, by byte paths. */
export function filesBelow(path: string): string[] {
  if (lstatatIfExists(AT_FDCWD, path) === undefined) return [];
  const dir = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  const found = readDirectory(dir).flatMap(({ name, type }) =>
    type === DT.dir ? filesBelow(`${path}/${name}`).map((below) => `${name}/${below}`) : [name],
  );
  close(dir);
  return found.sort();
}

/** What is wrong with the objects of a store: nothing, in a good one. */
export function problemsOfStore(store: string): string[] {
  return filesBelow(store).flatMap((name) => {
    const problems: string[] = [];
    if (digestOfFile(`${store}/${name}`) !== name.replace("/", "")) problems.push("digest");
    if ((lstatat(AT_FDCWD, `${store}/${name}`).mode & 0o7777) !== 0o644) problems.push("mode");
    return problems.map((problem) => `${name}: ${problem}`);
  });
}
