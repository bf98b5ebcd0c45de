/**
 * `multipart/byteranges`: several parts of a blob in one answer, read as they stream.
 *
 * Source: RFC 9110, 14.6; RFC 2046, 5.1. What stands before the first boundary and behind the last is
 * dropped. Every part says where it lies; what it says is not believed by the caller, only compared.
 */

import { parseContentRange } from "./content-range.ts";
import type { ContentRange } from "./content-range.ts";

/** A piece of one part. */
export interface PartPiece {
  /** Where in the blob. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** An answer whose parts cannot be used; asking for one part each may help. */
export class BadParts extends Error {}

/** The headers of one part are never larger; nor is what stands before the first. */
const HEADER_MAX = 16_384;

const LF = 10;
const DASH = 45;

/** Returns the boundary of a `Content-Type`; `undefined` if it is another type. */
export function multipartBoundary(contentType: string | undefined): string | undefined {
  const match =
    /^multipart\/byteranges\s*;(?:.*;)?\s*boundary=(?:"(?<quoted>[^"]{1,70})"|(?<bare>[^\s;"]{1,70}))/i.exec(
      contentType ?? "",
    );
  return match?.groups?.["quoted"] ?? match?.groups?.["bare"];
}

/** Yields the content of all parts in their order. Throws {@link BadParts}. */
export async function* readParts(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<PartPiece, void, undefined> {
  const input = new Input(body);
  const delimiter = Buffer.from(`--${boundary}`, "latin1");
  let isFirst = true;
  for (;;) {
    await skipToDelimiter(input, delimiter, isFirst);
    isFirst = false;
    if (await isLast(input)) return;
    const range = await readPartHeaders(input);
    let { offset, length } = range;
    while (length > 0) {
      const bytes = await input.take(length);
      yield { offset, bytes };
      offset += bytes.length;
      length -= bytes.length;
    }
  }
}

/** Behind a part comes a line end and the delimiter at once; before the first one may be anything. */
async function skipToDelimiter(input: Input, delimiter: Buffer, isFirst: boolean): Promise<void> {
  let skipped = 0;
  for (;;) {
    const line = await input.line();
    if (line.subarray(0, delimiter.length).equals(delimiter)) {
      input.unread(line.subarray(delimiter.length));
      return;
    }
    skipped += line.length;
    if ((!isFirst && line.length > 2) || skipped > HEADER_MAX)
      throw new BadParts("no boundary where one is due");
  }
}

async function isLast(input: Input): Promise<boolean> {
  const rest = await input.line();
  if (rest[0] === DASH && rest[1] === DASH) return true;
  if (!/^[ \t]*\r?\n$/.test(rest.toString("latin1"))) throw new BadParts("a boundary goes on");
  return false;
}

async function readPartHeaders(input: Input): Promise<ContentRange> {
  let range: ContentRange | undefined;
  let size = 0;
  for (;;) {
    const line = await input.line();
    const text = line.toString("latin1").trimEnd();
    if (text === "") break;
    size += line.length;
    if (size > HEADER_MAX) throw new BadParts("the headers of a part do not end");
    const match = /^content-range:(?<value>.*)$/i.exec(text);
    if (match !== null) range = parseContentRange(match.groups!["value"]);
  }
  if (range === undefined) throw new BadParts("a part does not say where it lies");
  return range;
}

/** Bytes and lines of a stream. */
class Input {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#pieces = body[Symbol.asyncIterator]();
  }

  /** At least one byte and at most `most`. */
  async take(most: number): Promise<Buffer> {
    while (this.#rest.length === 0) await this.#more();
    const taken = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  /** A line with its end; bare LF ends one as well. The end of the stream ends the last one. */
  async line(): Promise<Buffer> {
    let from = 0;
    for (;;) {
      const at = this.#rest.indexOf(LF, from);
      if (at !== -1) return this.#cut(at + 1);
      from = this.#rest.length;
      if (from > HEADER_MAX) throw new BadParts("a line does not end");
      if (!(await this.#more(true))) return this.#cut(this.#rest.length);
    }
  }

  /** Puts bytes back before the others. */
  unread(bytes: Buffer): void {
    this.#rest = Buffer.concat([bytes, this.#rest]);
  }

  #cut(length: number): Buffer {
    const line = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return line;
  }

  async #more(mayEnd = false): Promise<boolean> {
    const next = await this.#pieces.next();
    if (next.done !== true) {
      const bytes = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
      this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
      return true;
    }
    if (mayEnd && this.#rest.length > 0) return false;
    throw new BadParts("it ends in the middle");
  }
}
