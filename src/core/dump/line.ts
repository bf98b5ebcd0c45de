/**
 * One line of composefs-dump(5), without regard to the lines around it.
 *
 * `PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST [XATTR=VALUE ...]`, single spaces
 * between. Behaviour, lenient spots included, is that of C `mkcomposefs` 1.0.8 (tools/mkcomposefs.c,
 * tree_from_dump_line); what is deliberately stricter says so.
 */

import { byteStringFrom, bytesOf } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { LCFS_INLINE_CONTENT_MAX, PATH_MAX } from "../erofs/format.ts";
import { DumpError } from "../errors.ts";
import { parseFsVerityDigest } from "../fsverity/digest.ts";
import type { FsVerityDigest } from "../fsverity/digest.ts";
import { kindOfMode } from "../tree/node.ts";
import type { FileContent, Leaf, NodeKind, Stat, Timestamp, Xattrs } from "../tree/node.ts";
import { MAX_FILE_SIZE } from "../tree/validate.ts";
import { unescapeBytes, untilNul } from "./escape.ts";
import { parseUint64, toUint32 } from "./integer.ts";
import { XattrParser } from "./line-xattrs.ts";

/** What a line says. */
export type DumpLine =
  | { readonly kind: "hardlink"; readonly path: ByteString; readonly target: ByteString }
  | { readonly kind: "directory"; readonly path: ByteString; readonly stat: Stat }
  | { readonly kind: "leaf"; readonly path: ByteString; readonly leaf: Leaf };

/** The fields of a line by their place; what is behind them are the xattrs. */
const FIELDS = [
  "path",
  "size",
  "mode",
  "nlink",
  "uid",
  "gid",
  "rdev",
  "mtime",
  "payload",
  "content",
  "digest",
] as const;
type FieldName = (typeof FIELDS)[number];
const [PATH, SIZE, MODE, NLINK, UID, GID, RDEV, MTIME, PAYLOAD, CONTENT, DIGEST] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
] as const;

const EMPTY_CONTENT: FileContent = { kind: "inline", data: new Uint8Array(0) };
const AT_SIGN = 0x40;
const DASH = 0x2d;

/**
 * Parses lines. Keeps what repeats from line to line (times, xattrs) so that a tree shares it.
 *
 * The line being parsed is state of the object, and fields are cut out of it only where they are
 * needed as text: three quarters of them are short numbers, and a string for each took a third of the
 * time of reading a dump.
 */
export class LineParser {
  readonly #strict: boolean;
  #time: { text: string; value: Timestamp } | undefined;
  #lastSec: { unsigned: number | bigint; signed: bigint } = { unsigned: 0, signed: 0n };
  readonly #xattrs = new XattrParser();

  #line = "";
  #number = 0;
  /** Where each field starts and, at the end, the xattrs; each but the first behind a space. */
  readonly #starts = new Int32Array(FIELDS.length + 1);
  /** Where the first escape is: fields before it are what they look like. */
  #firstEscape = 0;

  constructor(strict: boolean) {
    this.#strict = strict;
  }

  /** Parses one line without its line end; `number` is for errors. Throws DumpError. */
  parse(line: string, number: number): DumpLine {
    this.#number = number;
    this.#split(line);
    const path = this.#text(PATH);
    if (path === "") throw this.#problem("path", "Invalid empty path");
    const isHardLink = line.charCodeAt(this.#starts[MODE]!) === AT_SIGN;
    const mode = toUint32(this.#integer(MODE, 8, isHardLink ? 1 : 0));
    const kind = kindOfMode(mode);
    if (kind === undefined) {
      const reason = `Invalid mode ${mode.toString(8)}`;
      throw this.#problem("mode", reason, "the type bits are missing");
    }
    if (isHardLink) {
      if (kind === "directory") throw this.#problem("mode", "Directories can't be hardlinked");
      const target = this.#optionalText(PAYLOAD);
      if (target === undefined) throw this.#problem("payload", "No target path for the hardlink");
      return { kind: "hardlink", path, target };
    }
    return this.#inode(path, kind, mode & 0o7777);
  }

  /** Finds the fields: they end at single spaces, and missing ones are empty. */
  #split(line: string): void {
    const nul = line.indexOf("\0");
    if (nul >= 0) {
      throw this.#problem("line", `Invalid embedded NUL character at position ${nul}`);
    }
    this.#line = line;
    let at = 0;
    for (let i = 1; i <= FIELDS.length; i++) {
      const space = at > line.length ? -1 : line.indexOf(" ", at);
      at = space < 0 ? line.length + 1 : space + 1;
      this.#starts[i] = at;
    }
    const escape = line.indexOf("\\");
    this.#firstEscape = escape < 0 ? line.length : escape;
  }

  #inode(path: ByteString, kind: NodeKind, mode: number): DumpLine {
    const size = this.#integer(SIZE, 10);
    const nlink = toUint32(this.#integer(NLINK, 10));
    const uid = toUint32(this.#integer(UID, 10));
    const gid = this.#lenientInteger(GID, uid);
    const rdev = this.#lenientInteger(RDEV, uid);
    const mtime = this.#mtime();
    const payload = this.#optionalText(PAYLOAD);
    const content = this.#isNone(CONTENT) ? undefined : this.#unescaped(CONTENT);
    this.#checkContent(kind, size, payload, content);
    if (this.#strict && rdev !== 0 && kind !== "chardev" && kind !== "blockdev") {
      throw this.#problem("rdev", "Non-zero devnum on non-device");
    }
    const xattrs = this.#parseXattrs();
    const stat: Stat = { mode, uid, gid, mtime, xattrs };
    switch (kind) {
      case "directory":
        return { kind, path, stat };
      case "symlink": {
        const target = this.#target(payload, size, content);
        return { kind: "leaf", path, leaf: { kind, stat, nlink, target } };
      }
      case "file": {
        const file = this.#fileContent(size, payload, content);
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

  #checkContent(
    kind: NodeKind,
    size: number | bigint,
    payload: ByteString | undefined,
    content: ByteString | undefined,
  ): void {
    if (payload !== undefined && payload.length >= PATH_MAX) {
      throw this.#problem("payload", "Invalid payload", "at most 4095 bytes");
    }
    if (content === undefined) return;
    const { length } = content;
    if (length !== Number(size)) {
      throw this.#problem("content", `Invalid content size ${length}, must match size ${size}`);
    }
    if (length > LCFS_INLINE_CONTENT_MAX && kind !== "symlink") {
      const reason = `Inline content size ${length} exceeds maximum ${LCFS_INLINE_CONTENT_MAX}`;
      throw this.#problem("content", reason);
    }
  }

  #target(
    payload: ByteString | undefined,
    size: number | bigint,
    content: ByteString | undefined,
  ): ByteString {
    if (payload === undefined || payload === "") throw this.#problem("payload", "Invalid symlink");
    if (this.#strict && size !== payload.length) {
      const reason = `Invalid symlink size ${payload.length}, must match size ${size}`;
      throw this.#problem("size", reason);
    }
    if (this.#strict && content !== undefined && content !== "") {
      throw this.#problem("content", "Symlink cannot have content");
    }
    return payload;
  }

  #fileContent(
    size: number | bigint,
    payload: ByteString | undefined,
    content: ByteString | undefined,
  ): FileContent {
    if (content !== undefined) return { kind: "inline", data: bytesOf(content) };
    if (size === 0) return EMPTY_CONTENT;
    if (size > MAX_FILE_SIZE) throw this.#problem("size", `File size ${size} is too large`);
    // C takes whatever bytes it finds here, be they a digest or not; that is never what was meant.
    const digest = this.#isNone(DIGEST) ? undefined : this.#digest();
    const path = payload === "" ? undefined : payload;
    if (digest === undefined && path === undefined) return { kind: "sparse", size: Number(size) };
    return { kind: "external", size: Number(size), path, digest };
  }

  #digest(): FsVerityDigest {
    try {
      return parseFsVerityDigest(this.#raw(DIGEST));
    } catch {
      const hint = "64 hexadecimal digits, or - for none";
      throw this.#problem("digest", "Invalid digest", hint);
    }
  }

  #mtime(): Timestamp {
    const start = this.#starts[MTIME]!;
    const known = this.#time;
    if (known !== undefined && this.#line.startsWith(known.text, start)) {
      if (start + known.text.length + 1 === this.#starts[MTIME + 1]) return known.value;
    }
    const text = this.#raw(MTIME);
    const dot = text.indexOf(".");
    const sec = this.#timePart(dot < 0 ? text : text.slice(0, dot));
    const nsec = this.#timePart(dot < 0 ? "" : text.slice(dot + 1));
    const value = { sec: this.#seconds(sec), nsec: toUint32(nsec) };
    this.#time = { text, value };
    return value;
  }

  /** Signed; the last value is remembered, because most neighbours differ in nanoseconds only. */
  #seconds(sec: number | bigint): bigint {
    if (sec !== this.#lastSec.unsigned) {
      this.#lastSec = { unsigned: sec, signed: BigInt.asIntN(64, BigInt(sec)) };
    }
    return this.#lastSec.signed;
  }

  #timePart(text: string): number | bigint {
    const value = parseUint64(text, 10);
    if (value === undefined) throw this.#problem("mtime", `Invalid integer ${text}`);
    return value;
  }

  #parseXattrs(): Xattrs {
    const xattrs = this.#xattrs.parse(this.#line, this.#starts[FIELDS.length]!);
    if (!("problem" in xattrs)) return xattrs;
    throw this.#problem("xattr", xattrs.problem, xattrs.hint);
  }

  #integer(field: number, base: 8 | 10, skip = 0): number | bigint {
    const start = this.#starts[field]! + skip;
    const value = parseUint64(this.#line, base, start, this.#starts[field + 1]! - 1);
    if (value === undefined) throw this.#notInteger(field);
    return value;
  }

  /** C reports a malformed gid or rdev only where the uid is 0, and else takes it as 0: so do we. */
  #lenientInteger(field: number, uid: number): number {
    const value = parseUint64(this.#line, 10, this.#starts[field], this.#starts[field + 1]! - 1);
    if (value !== undefined) return toUint32(value);
    if (uid !== 0) return 0;
    throw this.#notInteger(field);
  }

  /** The field as it stands in the line. */
  #raw(field: number): string {
    return this.#line.slice(this.#starts[field], this.#starts[field + 1]! - 1);
  }

  /** Whether the field is a lone `-`. */
  #isNone(field: number): boolean {
    const start = this.#starts[field]!;
    return start + 2 === this.#starts[field + 1] && this.#line.charCodeAt(start) === DASH;
  }

  #unescaped(field: number): ByteString {
    const raw = this.#raw(field);
    if (this.#starts[field + 1]! - 1 <= this.#firstEscape) return raw as ByteString;
    return this.#unescape(raw, FIELDS[field]!);
  }

  /** Names and paths are C strings: an escaped NUL ends them. */
  #text(field: number): ByteString {
    return untilNul(this.#unescaped(field));
  }

  #optionalText(field: number): ByteString | undefined {
    return this.#isNone(field) ? undefined : this.#text(field);
  }

  #unescape(text: string, field: FieldName | "xattr"): ByteString {
    const result = unescapeBytes(text);
    if (typeof result !== "string") throw this.#problem(field, result.problem);
    return result;
  }

  #notInteger(field: number): DumpError {
    const text = this.#raw(field);
    const shown = text.startsWith("@") ? text.slice(1) : text;
    return this.#problem(FIELDS[field]!, `Invalid integer ${shown}`);
  }

  #problem(field: FieldName | "line" | "xattr", reason: string, hint?: string): DumpError {
    return new DumpError(this.#number, field, reason, hint);
  }
}

/** Decodes raw bytes of a dump into the one-byte-a-unit text that {@link LineParser} takes. */
export const decodeDumpText: (bytes: Uint8Array) => string = byteStringFrom;
