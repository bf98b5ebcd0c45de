/**
 * The xattrs at the end of a line of composefs-dump(5): `NAME=VALUE`, single spaces between.
 *
 * Behaviour is that of C `mkcomposefs` 1.0.8 (tools/mkcomposefs.c; libcomposefs/lcfs-writer.c,
 * lcfs_node_set_xattr).
 */

import { bytesOf } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { LCFS_INODE_EXTERNAL_XATTR_MAX, XATTR_NAME_MAX } from "../erofs/format.ts";
import type { Xattrs } from "../tree/node.ts";
import { unescapeBytes, untilNul } from "./escape.ts";

/** What is wrong with them, and how it should be. */
interface XattrProblem {
  readonly problem: string;
  readonly hint?: string;
}

const NO_XATTRS: Xattrs = new Map();

/** How many distinct texts are remembered: files of one directory mostly share theirs. */
const CACHE_SIZE = 4096;

/** Parses xattrs; lines with the same text share one map. */
export class XattrParser {
  readonly #known = new Map<string, Xattrs>();
  /** Those of the last line: neighbours mostly have the same. */
  #last: { readonly text: string; readonly xattrs: Xattrs } = { text: "", xattrs: NO_XATTRS };

  /** Parses what stands in `line` from `start` on. */
  parse(line: string, start: number): Xattrs | XattrProblem {
    if (start >= line.length) return NO_XATTRS;
    const last = this.#last;
    if (line.length - start === last.text.length && line.endsWith(last.text)) return last.xattrs;
    const text = line.slice(start);
    let xattrs = this.#known.get(text);
    if (xattrs === undefined) {
      const parsed = parseXattrs(text);
      if ("problem" in parsed) return parsed;
      if (this.#known.size >= CACHE_SIZE) this.#known.clear();
      this.#known.set(text, parsed);
      xattrs = parsed;
    }
    this.#last = { text, xattrs };
    return xattrs;
  }
}

function parseXattrs(text: string): Xattrs | XattrProblem {
  if (text.length > 0xffff) return { problem: "Too many xattrs" };
  const xattrs = new Map<ByteString, Uint8Array>();
  let total = 0;
  // A single space at the end is not yet another xattr.
  const items = text.endsWith(" ") ? text.slice(0, -1).split(" ") : text.split(" ");
  for (const item of items) {
    const equals = item.indexOf("=");
    if (equals < 0) return { problem: "Missing = in xattr" };
    const rawName = unescapeBytes(item.slice(0, equals));
    if (typeof rawName !== "string") return rawName;
    const rawValue = unescapeBytes(item.slice(equals + 1));
    if (typeof rawValue !== "string") return rawValue;
    const name = untilNul(rawName);
    const value = bytesOf(rawValue);
    const replaced = xattrs.get(name);
    if (replaced !== undefined) {
      xattrs.delete(name);
      total = xattrs.size === 0 ? 0 : total - xattrCost(name, replaced);
    }
    total += xattrCost(name, value) + (xattrs.size === 0 ? 12 : 0);
    const isLegal = name.length >= 1 && name.length <= XATTR_NAME_MAX && value.length <= 0xffff;
    if (!isLegal || total > LCFS_INODE_EXTERNAL_XATTR_MAX) {
      const hint = "a name has 1 to 255 bytes; all xattrs of a file together at most 32767";
      return { problem: "Can't set xattr", hint };
    }
    xattrs.set(name, value);
  }
  return xattrs;
}

/** What C counts for an xattr: its bytes, the entry header, and the worst case of alignment. */
function xattrCost(name: ByteString, value: Uint8Array): number {
  return 7 + name.length + value.length;
}
