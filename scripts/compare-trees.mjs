/**
 * Compares two trees with Node's own file system calls: of the code that made the image, only the reading
 * of xattrs, which Node does not have, takes part in judging it.
 */

import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";

const CHUNK = 1 << 20;
const SLASH = Buffer.from("/");

/**
 * Walks both trees and tells every difference in content, type, mode, owner, times, device number,
 * symlink target, hard links and xattrs.
 *
 * @param {string} left
 * @param {string} right
 * @param {(path: string) => string} xattrsOf One text for all xattrs of a path of one byte a character.
 */
export function compareTrees(left, right, xattrsOf) {
  /** @type {string[]} */
  const differences = [];
  const leftLinks = new LinkGroups();
  const rightLinks = new LinkGroups();
  const buffers = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
  let entries = 0;
  /** @type {Buffer[]} Paths below the roots, empty or with a leading slash. */
  const pending = [Buffer.alloc(0)];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    entries++;
    const name = path.length === 0 ? "/" : path.toString("latin1");
    const a = Buffer.concat([Buffer.from(left), path]);
    const b = Buffer.concat([Buffer.from(right), path]);
    const x = lstatSync(a, { bigint: true });
    const y = lstatSync(b, { bigint: true, throwIfNoEntry: false });
    if (y === undefined) {
      differences.push(`${name}: missing`);
      continue;
    }
    for (const field of /** @type {const} */ (["mode", "uid", "gid", "mtimeNs"])) {
      if (x[field] !== y[field]) differences.push(`${name}: ${field} ${x[field]} and ${y[field]}`);
    }
    if (xattrsOf(a.toString("latin1")) !== xattrsOf(b.toString("latin1"))) {
      differences.push(`${name}: xattrs differ`);
    }
    if (x.isDirectory() && y.isDirectory()) {
      const names = sortedNames(a);
      const others = sortedNames(b);
      const here = new Set(names.map((one) => one.toString("latin1")));
      for (const one of others) {
        if (!here.has(one.toString("latin1"))) {
          differences.push(`${name}: only one has ${one.toString("latin1")}`);
        }
      }
      for (const one of names) pending.push(Buffer.concat([path, SLASH, one]));
      continue;
    }
    if (leftLinks.group(x, name) !== rightLinks.group(y, name)) {
      differences.push(`${name}: hard links differ`);
    }
    if (x.isSymbolicLink() && y.isSymbolicLink()) {
      const targets = [a, b].map((one) => readlinkSync(one, { encoding: "latin1" }));
      if (targets[0] !== targets[1]) differences.push(`${name}: target ${targets.join(" and ")}`);
    } else if (x.isFile() && y.isFile()) {
      if (!sameContent(a, b, buffers)) differences.push(`${name}: content differs`);
    } else if (x.rdev !== y.rdev) {
      differences.push(`${name}: rdev ${x.rdev} and ${y.rdev}`);
    }
  }
  return { entries, differences };
}

/** Names a file by the first of its names that was met. */
class LinkGroups {
  /** @type {Map<string, string>} */
  #firstName = new Map();

  /**
   * @param {import("node:fs").BigIntStats} stat
   * @param {string} name
   */
  group(stat, name) {
    if (stat.nlink < 2n) return name;
    const key = `${stat.dev}:${stat.ino}`;
    const first = this.#firstName.get(key) ?? name;
    this.#firstName.set(key, first);
    return first;
  }
}

/** @param {Buffer} path */
function sortedNames(path) {
  return readdirSync(path, { encoding: "buffer" }).sort((a, b) => Buffer.compare(a, b));
}

/**
 * @param {Buffer} a
 * @param {Buffer} b
 * @param {Buffer[]} buffers
 */
function sameContent(a, b, [left, right]) {
  if (left === undefined || right === undefined) throw new Error("two buffers are needed");
  const files = [openSync(a, "r"), openSync(b, "r")];
  try {
    const [x = -1, y = -1] = files;
    for (;;) {
      const read = readSync(x, left);
      if (readSync(y, right) !== read || !left.subarray(0, read).equals(right.subarray(0, read))) {
        return false;
      }
      if (read === 0) return true;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}
