/**
 * One line of composefs-dump(5), without regard to the lines around it.
 *
 * `PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST [XATTR=VALUE ...]`, single spaces
 * between. Behaviour, lenient spots included, is that of C `mkcomposefs` 1.0.8 (tools/mkcomposefs.c,
 * tree_from_dump_line); what is deliberately stricter says so.
 */

import { byteStringFrom, bytesOf } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import {
  LCFS_INLINE_CONTENT_MAX,
  LCFS_INODE_EXTERNAL_XATTR_MAX,
  PATH_MAX,
} from "../erofs/format.ts";
import { DumpError } from "../errors.ts";
import { parseFsVerityDigest } from "../fsverity/digest.ts";
import { S_IFMT, kindOfMode } from "../tree/node.ts";
import type { FileContent, Leaf, NodeKind, Stat, Timestamp, Xattrs } from "../tree/node.ts";
import { MAX_FILE_SIZE } from "../tree/validate.ts";
import { unescapeBytes } from "./escape.ts";
import { parseUint64, toUint32 } from "./integer.ts";

/** What a line says. */
export type DumpLine =
  | { readonly kind: "hardlink"; readonly path: ByteString; readonly target: ByteString }
  | { readonly kind: "directory"; readonly path: ByteString; readonly stat: Stat }
  | { readonly kind: "leaf"; readonly path: ByteString; readonly leaf: Leaf };

/** Number of fields before the xattrs. */
const FIXED_FIELDS = 11;

const NO_XATTRS: Xattrs = new Map();

/** How many distinct xattr texts are remembered: files of one directory mostly share theirs. */
const XATTR_CACHE_SIZE = 4096;

/** Parses lines. Keeps what repeats from line to line (times, xattrs) so that a tree shares it. */
export class LineParser {
  readonly #strict: boolean;
  #time: { text: string; value: Timestamp } | undefined;
  readonly #xattrs = new Map<string, Xattrs>();

  constructor(strict: boolean) {
    this.#strict = strict;
  }

  /** Parses one line without its line end; `number` is for errors. Throws DumpError. */
  parse(text: string, number: number): DumpLine {
    const nul = text.indexOf("\0");
    if (nul >= 0) {
      throw new DumpError(number, "line", `Invalid embedded NUL character at position ${nul}`);
    }
    const fields = splitFields(text);
    const path = this.#text(fields, 0, number, "path");
    if (path === "") throw new DumpError(number, "path", "Invalid empty path");

    const modeText = fields[2]!;
    const isHardLink = modeText.startsWith("@");
    const mode = toUint32(
      this.#integer(isHardLink ? modeText.slice(1) : modeText, 8, number, "mode"),
    );
    const kind = kindOfMode(mode);
    if (kind === undefined) {
      throw new DumpError(
        number,
        "mode",
        `Invalid mode ${mode.toString(8)}`,
        "the type bits are missing",
      );
    }
    if (isHardLink) {
      if (kind === "directory")
        throw new DumpError(number, "mode", "Directories can't be hardlinked");
      const target = this.#optionalText(fields, 8, number, "payload");
      if (target === undefined)
        throw new DumpError(number, "payload", "No target path for the hardlink");
      return { kind: "hardlink", path, target };
    }
    return this.#inode(fields, number, path, kind, mode & ~S_IFMT & 0o7777);
  }

  #inode(
    fields: readonly string[],
    number: number,
    path: ByteString,
    kind: NodeKind,
    mode: number,
  ): DumpLine {
    const size = this.#integer(fields[1]!, 10, number, "size");
    const nlink = toUint32(this.#integer(fields[3]!, 10, number, "nlink"));
    const uid = toUint32(this.#integer(fields[4]!, 10, number, "uid"));
    const gid = this.#lenientInteger(fields[5]!, uid, number, "gid");
    const rdev = this.#lenientInteger(fields[6]!, uid, number, "rdev");
    const mtime = this.#mtime(fields[7]!, number);
    const payload = this.#optionalText(fields, 8, number, "payload");
    const content = this.#content(fields[9]!, number);
    if (content !== undefined && content.length !== Number(size)) {
      throw new DumpError(
        number,
        "content",
        `Invalid content size ${content.length}, must match size ${size}`,
      );
    }
    if (content !== undefined && content.length > LCFS_INLINE_CONTENT_MAX && kind !== "symlink") {
      throw new DumpError(
        number,
        "content",
        `Inline content size ${content.length} exceeds maximum ${LCFS_INLINE_CONTENT_MAX}`,
      );
    }
    if (payload !== undefined && payload.length >= PATH_MAX) {
      throw new DumpError(number, "payload", "Invalid payload", "at most 4095 bytes");
    }
    if (this.#strict && rdev !== 0 && kind !== "chardev" && kind !== "blockdev") {
      throw new DumpError(number, "rdev", "Non-zero devnum on non-device");
    }
    const xattrs = this.#parseXattrs(fields[FIXED_FIELDS]!, number);
    const stat: Stat = { mode, uid, gid, mtime, xattrs };
    switch (kind) {
      case "directory":
        return { kind, path, stat };
      case "symlink":
        return {
          kind: "leaf",
          path,
          leaf: { kind, stat, nlink, target: this.#target(payload, size, content, number) },
        };
      case "file": {
        const file = this.#fileContent(size, payload, content, fields[10]!, number);
        return { kind: "leaf", path, leaf: { kind, stat, nlink, content: file } };
      }
      case "chardev":
      case "blockdev":
        return { kind: "leaf", path, leaf: { kind, stat, nlink, rdev, claimedSize: Number(size) } };
      case "fifo":
      case "socket":
        return { kind: "leaf", path, leaf: { kind, stat, nlink, claimedSize: Number(size) } };
    }
  }

  #target(
    payload: ByteString | undefined,
    size: number | bigint,
    content: ByteString | undefined,
    number: number,
  ): ByteString {
    if (payload === undefined || payload === "")
      throw new DumpError(number, "payload", "Invalid symlink");
    if (this.#strict && size !== payload.length) {
      throw new DumpError(
        number,
        "size",
        `Invalid symlink size ${payload.length}, must match size ${size}`,
      );
    }
    if (this.#strict && content !== undefined && content !== "") {
      throw new DumpError(number, "content", "Symlink cannot have content");
    }
    return payload;
  }

  #fileContent(
    size: number | bigint,
    payload: ByteString | undefined,
    content: ByteString | undefined,
    digestText: string,
    number: number,
  ): FileContent {
    if (content !== undefined) return { kind: "inline", data: bytesOf(content) };
    if (size === 0) return { kind: "inline", data: new Uint8Array(0) };
    if (size > MAX_FILE_SIZE) throw new DumpError(number, "size", `File size ${size} is too large`);
    // C takes whatever bytes it finds here, be they a digest or not; that is never what was meant.
    const digest = digestText === "-" ? undefined : this.#digest(digestText, number);
    const path = payload === "" ? undefined : payload;
    if (digest === undefined && path === undefined) return { kind: "sparse", size: Number(size) };
    return { kind: "external", size: Number(size), path, digest };
  }

  #digest(text: string, number: number): ReturnType<typeof parseFsVerityDigest> {
    try {
      return parseFsVerityDigest(text);
    } catch {
      throw new DumpError(
        number,
        "digest",
        "Invalid digest",
        "64 hexadecimal digits, or - for none",
      );
    }
  }

  #integer(text: string, base: 8 | 10, number: number, field: string): number | bigint {
    const value = parseUint64(text, base);
    if (value === undefined) throw new DumpError(number, field, `Invalid integer ${text}`);
    return value;
  }

  /** C reports a malformed gid or rdev only where the uid is 0, and else takes it as 0: so do we. */
  #lenientInteger(text: string, uid: number, number: number, field: string): number {
    const value = parseUint64(text, 10);
    if (value !== undefined) return toUint32(value);
    if (uid !== 0) return 0;
    throw new DumpError(number, field, `Invalid integer ${text}`);
  }

  #mtime(text: string, number: number): Timestamp {
    if (this.#time?.text === text) return this.#time.value;
    const dot = text.indexOf(".");
    const sec = this.#integer(dot < 0 ? text : text.slice(0, dot), 10, number, "mtime");
    const nsec = this.#integer(dot < 0 ? "" : text.slice(dot + 1), 10, number, "mtime");
    const value = { sec: BigInt.asIntN(64, BigInt(sec)), nsec: toUint32(nsec) };
    this.#time = { text, value };
    return value;
  }

  #text(fields: readonly string[], index: number, number: number, field: string): ByteString {
    const text = unescapeField(fields[index]!, number, field);
    // Names and paths are C strings: an escaped NUL ends them.
    const nul = text.indexOf("\0");
    return nul < 0 ? text : (text.slice(0, nul) as ByteString);
  }

  #optionalText(
    fields: readonly string[],
    index: number,
    number: number,
    field: string,
  ): ByteString | undefined {
    return fields[index] === "-" ? undefined : this.#text(fields, index, number, field);
  }

  #content(text: string, number: number): ByteString | undefined {
    return text === "-" ? undefined : unescapeField(text, number, "content");
  }

  #parseXattrs(text: string, number: number): Xattrs {
    if (text === "") return NO_XATTRS;
    const known = this.#xattrs.get(text);
    if (known !== undefined) return known;
    if (text.length > 0xffff) throw new DumpError(number, "xattr", "Too many xattrs");
    const xattrs = new Map<ByteString, Uint8Array>();
    let total = 0;
    // A single space at the end is not yet another xattr.
    const items = text.endsWith(" ") ? text.slice(0, -1).split(" ") : text.split(" ");
    for (const item of items) {
      const equals = item.indexOf("=");
      if (equals < 0) throw new DumpError(number, "xattr", "Missing = in xattr");
      const name = this.#text([item.slice(0, equals)], 0, number, "xattr");
      const value = bytesOf(unescapeField(item.slice(equals + 1), number, "xattr"));
      const replaced = xattrs.get(name);
      if (replaced !== undefined) {
        xattrs.delete(name);
        total = xattrs.size === 0 ? 0 : total - xattrCost(name, replaced);
      }
      total += xattrCost(name, value) + (xattrs.size === 0 ? 12 : 0);
      if (
        name.length < 1 ||
        name.length > 255 ||
        value.length > 0xffff ||
        total > LCFS_INODE_EXTERNAL_XATTR_MAX
      ) {
        throw new DumpError(
          number,
          "xattr",
          "Can't set xattr",
          "a name has 1 to 255 bytes; all xattrs of a file together at most 32767",
        );
      }
      xattrs.set(name, value);
    }
    if (this.#xattrs.size >= XATTR_CACHE_SIZE) this.#xattrs.clear();
    this.#xattrs.set(text, xattrs);
    return xattrs;
  }
}

/** What C counts for an xattr: its bytes, the entry header, and the worst case of alignment. */
function xattrCost(name: ByteString, value: Uint8Array): number {
  return 7 + name.length + value.length;
}

function unescapeField(text: string, number: number, field: string): ByteString {
  const result = unescapeBytes(text);
  if ("problem" in result) throw new DumpError(number, field, result.problem);
  return result.value;
}

/** Cuts the fixed fields at single spaces; missing ones are empty. The last element is the rest. */
function splitFields(text: string): string[] {
  const fields: string[] = [];
  let at = 0;
  for (let i = 0; i < FIXED_FIELDS; i++) {
    const space = at <= text.length ? text.indexOf(" ", at) : -1;
    if (space < 0) {
      fields.push(text.slice(at));
      at = text.length + 1;
    } else {
      fields.push(text.slice(at, space));
      at = space + 1;
    }
  }
  fields.push(text.slice(at));
  return fields;
}

/** Decodes raw bytes of a dump into the one-byte-a-unit text that {@link LineParser} takes. */
export const decodeDumpText: (bytes: Uint8Array) => string = byteStringFrom;
