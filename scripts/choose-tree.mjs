/** Finds a tree that every machine has, to work on: large, but not for minutes, and readable as a whole. */

import { accessSync, constants, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { LauncherError } from "./checkout.mjs";

const CANDIDATES = [
  "/usr/share",
  "/usr/lib",
  "/usr/include",
  "/usr/share/doc",
  "/usr/share/zoneinfo",
  "/usr/bin",
  "/usr/sbin",
];

/** Bytes of content: about half a minute of work on two processors. */
const LARGEST = 700e6;

/** The largest candidate within the limit. */
export function chooseTree() {
  let chosen = { path: "", size: -1 };
  for (const path of CANDIDATES) {
    const size = contentSize(path);
    if (size !== undefined && size > chosen.size) chosen = { path, size };
  }
  if (chosen.path === "") throw new LauncherError("Cannot find a tree to work on: name one");
  return chosen.path;
}

/**
 * Bytes of all files below a directory; `undefined` if it is too large or not all readable.
 *
 * @param {string} root
 */
function contentSize(root) {
  let size = 0;
  const pending = [root];
  try {
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      const stat = lstatSync(path);
      if (stat.isSymbolicLink()) continue;
      if (stat.isFile() || stat.isDirectory()) accessSync(path, constants.R_OK);
      if (stat.isDirectory()) for (const name of readdirSync(path)) pending.push(join(path, name));
      if (stat.isFile()) size += stat.size;
      if (size > LARGEST) return undefined;
    }
  } catch {
    return undefined;
  }
  return size;
}
