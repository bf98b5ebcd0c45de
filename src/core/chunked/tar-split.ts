/**
 * tar-split: an archive without the content of its files, as JSON, one record a line. What is no content
 * (headers, padding, the end) stands in segments, a file stands where its content belongs.
 *
 * Source: vbatts/tar-split, tar/storage/entry.go and packer.go.
 */

import { formatBase64, parseBase64 } from "../bytes/base64.ts";
import { byteString, byteStringFrom, bytesOf, displayText } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { decodeUtf8 } from "../bytes/utf8.ts";
import { DEFAULT_CHUNKED_LIMITS, corruptChunked } from "./format.ts";
import type { ChunkedLimits } from "./format.ts";
import { parseJson } from "./json-members.ts";

/** One record. */
export type TarSplitRecord =
  | { readonly kind: "segment"; readonly bytes: Uint8Array }
  | { readonly kind: "file"; readonly name: ByteString; readonly size: number };

/** The numbers of the record types. */
const RECORD_TYPE = { file: 1, segment: 2 } as const;

const NEWLINE = 0x0a;
const END_RECORDS = 4096;

/**
 * Yields the records of a tar-split that comes decompressed and in pieces; nothing is kept of a piece. The
 * limit on the whole is up to whoever decompresses. Throws `corrupt-chunked`.
 */
export function* readTarSplit(
  pieces: Iterable<Uint8Array>,
  limits: ChunkedLimits = DEFAULT_CHUNKED_LIMITS,
): Generator<TarSplitRecord, void> {
  let rest: Uint8Array[] = [];
  let restSize = 0;
  // Two for each entry, and the end of the archive in pieces; the rest is there to take time.
  let linesLeft = 2 * limits.entries + END_RECORDS;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      const newline = piece.indexOf(NEWLINE, at);
      const end = newline < 0 ? piece.length : newline;
      const part = piece.subarray(at, end);
      if (restSize + part.length > limits.recordSize) {
        throw corruptChunked(`a record of its tar-split has more than ${limits.recordSize} bytes`);
      }
      if (newline < 0) {
        rest.push(part.slice());
        restSize += part.length;
      } else {
        if (--linesLeft < 0) throw corruptChunked("its tar-split has too many records");
        yield* recordOf(restSize === 0 ? part : joined(rest, restSize, part));
        rest = [];
        restSize = 0;
      }
      at = end + 1;
    }
  }
  yield* recordOf(joined(rest, restSize));
}

function* recordOf(line: Uint8Array): Generator<TarSplitRecord, void> {
  if (line.every((byte) => byte === 0x20 || byte === 0x0d || byte === 0x09)) return;
  const json = parseJson(line);
  if (typeof json !== "object" || json === null) {
    throw corruptChunked("a record of its tar-split is no JSON object");
  }
  const { type, name, name_raw, size, payload } = json as Readonly<Record<string, unknown>>;
  if (type === RECORD_TYPE.segment) {
    const bytes = typeof payload === "string" ? parseBase64(payload) : undefined;
    if (bytes === undefined) throw corruptChunked("a segment of its tar-split is not base64");
    yield { kind: "segment", bytes };
    return;
  }
  if (type !== RECORD_TYPE.file) {
    throw corruptChunked("a record of its tar-split is of a type that is not known");
  }
  const raw = typeof name_raw === "string" ? parseBase64(name_raw) : undefined;
  const fileName =
    raw === undefined ? byteString(typeof name === "string" ? name : "") : byteStringFrom(raw);
  const fileSize = size ?? 0;
  if (typeof fileSize !== "number" || !Number.isSafeInteger(fileSize) || fileSize < 0) {
    throw corruptChunked(`its tar-split, "${displayText(fileName)}": its size is absurd`);
  }
  yield { kind: "file", name: fileName, size: fileSize };
}

function joined(parts: readonly Uint8Array[], size: number, last?: Uint8Array): Uint8Array {
  const all = new Uint8Array(size + (last?.length ?? 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  if (last !== undefined) all.set(last, at);
  return all;
}

/** Writes the records of one archive, as lines. */
export class TarSplitWriter {
  #position = 0;

  segment(bytes: Uint8Array): Uint8Array {
    const payload = formatBase64(bytes);
    const record = `{"type":2,"payload":"${payload}","position":${this.#position++}}\n`;
    return bytesOf(record as ByteString);
  }

  /** `crc64` is that of the content; none for a file without content and for what is no file. */
  file(name: ByteString, size: number, crc64: Uint8Array | undefined): Uint8Array {
    const text = decodeUtf8(bytesOf(name));
    const record = {
      type: RECORD_TYPE.file,
      ...(text === undefined ? { name_raw: formatBase64(bytesOf(name)) } : { name: text }),
      ...(size === 0 ? {} : { size }),
      payload: crc64 === undefined ? null : formatBase64(crc64),
      position: this.#position++,
    };
    return bytesOf(byteString(`${JSON.stringify(record)}\n`));
  }
}
