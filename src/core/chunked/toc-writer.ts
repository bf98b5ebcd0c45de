/** Entries of a TOC as JSON. */

import { formatBase64 } from "../bytes/base64.ts";
import { byteString, bytesOf } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { decodeUtf8Lossy } from "../bytes/utf8.ts";
import type { Timestamp } from "../tree/node.ts";
import { TOC_VERSION } from "./format.ts";
import { formatRfc3339 } from "./rfc3339.ts";
import type { TocChunk, TocEntry } from "./toc-entry.ts";

/** The text in front of the first entry. */
export const TOC_HEAD: Uint8Array = utf8(`{"version":${TOC_VERSION},"entries":[`);

/** The text behind the last entry. */
export function formatTocTail(tarSplitSha256: string): Uint8Array {
  return utf8(`],"tarSplitDigest":"sha256:${tarSplitSha256}"}`);
}

/**
 * One entry with its chunks; names that are not UTF-8 get lost, and times outside of the years 0 to 9999
 * are left out. Fields in the order of containers/storage, and like there none for what is 0 or empty.
 */
export function formatTocEntry(entry: TocEntry): Uint8Array {
  const [first, ...others] = entry.chunks;
  // A file in one piece has no need of a digest of that piece.
  const isWhole = others.length === 0;
  const objects = [
    {
      type: entry.type,
      name: text(entry.name),
      linkName: text(entry.linkName),
      mode: entry.mode,
      size: entry.size,
      uid: entry.uid,
      gid: entry.gid,
      modtime: time(entry.modTime),
      accesstime: time(entry.accessTime),
      changetime: time(entry.changeTime),
      devMajor: entry.devMajor,
      devMinor: entry.devMinor,
      xattrs: xattrs(entry),
      digest: digest(entry.sha256),
      offset: first?.offset,
      endOffset: entry.chunks.at(-1)?.end,
      ...(isWhole ? {} : chunkFields(first!)),
    },
    ...others.map((chunk) => ({
      type: "chunk",
      name: text(entry.name),
      offset: chunk.offset,
      ...chunkFields(chunk),
    })),
  ];
  return utf8(objects.map((object) => JSON.stringify(withoutEmpty(object))).join(","));
}

function chunkFields({ kind, size, fileOffset, sha256 }: TocChunk): object {
  return {
    chunkSize: size,
    chunkOffset: fileOffset,
    chunkDigest: digest(sha256),
    chunkType: kind === "zeros" ? "zeros" : "",
  };
}

function withoutEmpty(object: object): object {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== 0 && value !== ""),
  );
}

function digest(sha256: string): string {
  return sha256 === "" ? "" : `sha256:${sha256}`;
}

function time(value: Timestamp | undefined): string | undefined {
  return value === undefined ? undefined : formatRfc3339(value);
}

function xattrs(entry: TocEntry): object | undefined {
  if (entry.xattrs.size === 0) return undefined;
  // Without a prototype "__proto__" is a name like others.
  const object = Object.create(null) as Record<string, string>;
  for (const [name, value] of entry.xattrs) object[text(name)] = formatBase64(value);
  return object;
}

function text(name: ByteString): string {
  return decodeUtf8Lossy(bytesOf(name));
}

function utf8(json: string): Uint8Array {
  return bytesOf(byteString(json));
}
