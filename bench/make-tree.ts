/** Puts a planned tree on the disk. */

import {
  chmodSync,
  closeSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { randomFrom } from "./random.ts";
import type { PlannedFile, TreePlan } from "./tree-plan.ts";

const NOISE_SIZE = 8 << 20;
const MTIME = 1_700_000_000;

/** Writes the tree to `root`, which is replaced. */
export function makeTree(plan: TreePlan, root: string): void {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { mode: 0o755 });
  const noise = makeNoise();
  for (const path of plan.directories) mkdirSync(join(root, path), { mode: 0o755 });
  for (const file of plan.files) makeFile(join(root, file.path), file, noise);
  for (const { path, target } of plan.symlinks) {
    symlinkSync(target, join(root, path));
    lutimesSync(join(root, path), MTIME, MTIME);
  }
  // Last, because what is put into a directory changes its time; the deepest first for the same reason.
  const deepestFirst = [...plan.directories];
  deepestFirst.reverse();
  for (const path of deepestFirst) utimesSync(join(root, path), MTIME, MTIME);
  utimesSync(root, MTIME, MTIME);
}

/** The number of the content, then a stretch of noise that starts elsewhere for each content. */
function makeFile(path: string, file: PlannedFile, noise: Uint8Array): void {
  const fd = openSync(path, "wx", file.executable ? 0o755 : 0o644);
  const label = Buffer.from(`content ${file.content}\n`).subarray(0, file.size);
  writeSync(fd, label);
  let at = Math.imul(file.content, 4099) & (NOISE_SIZE - 1);
  for (let left = file.size - label.length; left > 0;) {
    const length = Math.min(left, NOISE_SIZE - at);
    writeSync(fd, noise, at, length);
    left -= length;
    at = 0;
  }
  closeSync(fd);
  chmodSync(path, file.executable ? 0o755 : 0o644); // whatever the umask
  utimesSync(path, MTIME, MTIME);
}

function makeNoise(): Uint8Array {
  const words = new Uint32Array(NOISE_SIZE / 4);
  const random = randomFrom(2);
  for (let i = 0; i < words.length; i++) words[i] = random() * 2 ** 32;
  return new Uint8Array(words.buffer);
}

/** Writes a text file piece by piece. */
export function writePieces(path: string, pieces: Iterable<string>): void {
  const fd = openSync(path, "w");
  let waiting: string[] = [];
  let length = 0;
  for (const piece of pieces) {
    waiting.push(piece);
    length += piece.length;
    if (length < 1 << 20) continue;
    writeFileSync(fd, waiting.join(""));
    waiting = [];
    length = 0;
  }
  writeFileSync(fd, waiting.join(""));
  closeSync(fd);
}
