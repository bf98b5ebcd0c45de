/** The table of contents of a blob, as a whole. */

import type { ByteString } from "../bytes/byte-string.ts";
import { DEFAULT_CHUNKED_LIMITS, TOC_VERSION, corruptChunked } from "./format.ts";
import type { ChunkedLimits } from "./format.ts";
import { jsonMembers } from "./json-members.ts";
import { sha256Of } from "./positions.ts";
import { Fields, addTocChunk, closeTocEntry, openTocEntry, wrongEntry } from "./toc-entry.ts";
import type { OpenTocEntry, TocEntry } from "./toc-entry.ts";

/** A table of contents that does not contradict itself. */
export interface ChunkedToc {
  /** In the order of the archive; their chunks lie in the blob in the same order and do not overlap. */
  readonly entries: readonly TocEntry[];
  /** sha256 of the compressed tar-split, in hexadecimal; old writers do not have it here. */
  readonly tarSplitSha256: string | undefined;
}

/** Options of {@link parseChunkedToc}. */
export interface ParseTocOptions {
  /** Where the data of the blob ends: no chunk reaches farther. */
  readonly dataEnd: number;
  readonly limits?: ChunkedLimits;
}

/** Parses the JSON of a TOC. Throws `corrupt-chunked`. */
export function parseChunkedToc(bytes: Uint8Array, options: ParseTocOptions): ChunkedToc {
  const limits = options.limits ?? DEFAULT_CHUNKED_LIMITS;
  const entries = new Entries(options.dataEnd, limits);
  let version: unknown;
  let tarSplitSha256: string | undefined;
  let count = 0;
  for (const { key, isElement, value } of jsonMembers(bytes, limits.recordSize, corruptChunked)) {
    if (key === "entries" && isElement) {
      if (++count > limits.entries)
        throw corruptChunked(`its TOC has over ${limits.entries} entries`);
      entries.add(new Fields(value));
    } else if (key === "version") {
      version = value;
    } else if (key === "tarSplitDigest" && value !== "") {
      if (typeof value !== "string") throw corruptChunked(`"tarSplitDigest" is no string`);
      tarSplitSha256 = sha256Of(value, `"tarSplitDigest"`);
    }
  }
  if (version !== TOC_VERSION) {
    throw corruptChunked(`its TOC has version ${String(version)}, not ${TOC_VERSION}`);
  }
  return { entries: entries.finish(), tarSplitSha256 };
}

class Entries {
  readonly #dataEnd: number;
  readonly #limits: ChunkedLimits;
  readonly #closed: TocEntry[] = [];
  readonly #names = new Set<ByteString>();
  #open: OpenTocEntry | undefined;
  /** Where the last chunk so far ends. */
  #end = 0;
  #xattrs = 0;

  constructor(dataEnd: number, limits: ChunkedLimits) {
    this.#dataEnd = dataEnd;
    this.#limits = limits;
  }

  add(json: Fields): void {
    if (json.text("type") === "chunk") {
      if (this.#open === undefined) throw json.wrong("a chunk without a file");
      addTocChunk(this.#open, json);
      return;
    }
    this.#close();
    this.#open = openTocEntry(json);
    const { name, xattrs } = this.#open.entry;
    if (this.#names.has(name)) throw wrongEntry(name, "it is there twice");
    this.#names.add(name);
    this.#xattrs += xattrs.size;
    if (this.#xattrs > this.#limits.xattrs) {
      throw corruptChunked(`its TOC has over ${this.#limits.xattrs} xattrs`);
    }
  }

  finish(): TocEntry[] {
    this.#close();
    return this.#closed;
  }

  #close(): void {
    if (this.#open === undefined) return;
    const entry = closeTocEntry(this.#open, this.#end, this.#dataEnd);
    this.#end = entry.chunks.at(-1)?.end ?? this.#end;
    this.#closed.push(entry);
    this.#open = undefined;
  }
}
