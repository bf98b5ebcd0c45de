/** Entries of a directory in the order that reports have, and what they are. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { kindOfMode } from "../../core/tree/node.ts";
import type { NodeKind } from "../../core/tree/node.ts";
import { DT, lstatatIfExists, readDirectory } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";

/** An entry; `type` is a `DT`, which file systems need not tell. */
export interface SurveyedEntry {
  readonly name: ByteString;
  readonly type: number;
}

/** The entries of an open directory, in byte order. */
export function sortedEntries(dirfd: Fd): SurveyedEntry[] {
  const entries = readDirectory(dirfd) as SurveyedEntry[];
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What an entry is; `undefined` if it is gone meanwhile. A symlink is a symlink. */
export function kindOfEntry(dirfd: Fd, { name, type }: SurveyedEntry): NodeKind | undefined {
  if (type === DT.lnk) return "symlink";
  if (type === DT.dir) return "directory";
  if (type === DT.reg) return "file";
  const stat = lstatatIfExists(dirfd, name);
  return stat === undefined ? undefined : kindOfMode(stat.mode);
}
