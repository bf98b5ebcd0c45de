/** The limit of open files. */

import { readFileSync } from "node:fs";

/** The soft limit of this process, which Node has raised to the hard one. */
export function readOpenFilesLimit(): number {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return line === null ? Infinity : Number(line[1]);
}
