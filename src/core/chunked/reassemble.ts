/**
 * The archive of a layer out of its tar-split and its TOC: what stands in front of each file, and which
 * content comes next. All that becomes a tree is read from the archive's own headers; of the TOC only
 * digests and places are used, and what it says beside that must not contradict the archive.
 */

import { byteString, bytesOf } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { decodeUtf8Lossy } from "../bytes/utf8.ts";
import type { TarEntry } from "../tar/entry.ts";
import { TarReader } from "../tar/reader.ts";
import type { TarEvent, TarReaderOptions } from "../tar/reader.ts";
import { corruptChunked } from "./format.ts";
import type { TarSplitRecord } from "./tar-split.ts";
import { TOC_TYPE_OF_KIND, wrongEntry } from "./toc-entry.ts";
import type { TocEntry } from "./toc-entry.ts";
import type { ChunkedToc } from "./toc.ts";

/** What comes next in the archive. */
export type LayerPart =
  /** Bytes that are no content, valid until the next part is asked for. */
  | { readonly kind: "raw"; readonly bytes: Uint8Array }
  /** The whole content of a file, which is never empty; the TOC says where it is. */
  | { readonly kind: "content"; readonly entry: TarEntry; readonly toc: TocEntry };

/**
 * Yields the parts in order: written one after the other, contents put in, they are the archive. Whether it
 * is the one that was meant only its digest tells. Throws `corrupt-chunked`, and TarError.
 */
export function* reassembleLayer(
  toc: ChunkedToc,
  records: Iterable<TarSplitRecord>,
  options: TarReaderOptions = {},
): Generator<LayerPart, void> {
  const reader = new TarReader({ globalRecords: "ignore", ...options });
  const layer = new Reassembly(toc.entries);
  for (const record of records) {
    if (record.kind === "segment") {
      yield* layer.parts(reader.push(record.bytes));
    } else if (record.size > 0) {
      if (!reader.canSkipContent) throw corruptChunked("its tar-split has a file out of place");
      const part = layer.content(record.size);
      reader.skipContent();
      yield part;
    }
  }
  yield* layer.parts(reader.finish());
  layer.assertDone();
}

class Reassembly {
  readonly #entries: readonly TocEntry[];
  #next = 0;
  #entry: TarEntry | undefined;

  constructor(entries: readonly TocEntry[]) {
    this.#entries = entries;
  }

  *parts(events: Iterable<TarEvent>): Generator<LayerPart, void> {
    for (const event of events) {
      if (event.kind === "raw") yield event;
      else if (event.kind === "entry") this.#open(event.entry);
      // Content here would be in no chunk and have no digest.
      else if (event.kind === "data")
        throw corruptChunked("its tar-split has the content of a file");
    }
  }

  content(size: number): LayerPart {
    const entry = this.#entry!;
    if (entry.storedSize !== size) {
      throw wrongEntry(
        entry.path,
        `${size} bytes in the tar-split, ${entry.storedSize} in the archive`,
      );
    }
    return { kind: "content", entry, toc: this.#entries[this.#next - 1]! };
  }

  assertDone(): void {
    const left = this.#entries[this.#next];
    if (left !== undefined) throw wrongEntry(left.name, "it is not in the archive");
  }

  #open(entry: TarEntry): void {
    const toc = this.#entries[this.#next++];
    if (toc === undefined) throw wrongEntry(entry.path, "it is in the archive alone");
    const type = TOC_TYPE_OF_KIND[entry.kind];
    if (toc.name !== tocName(entry.path)) {
      throw wrongEntry(toc.name, "the archive has another entry in this place");
    }
    if (entry.segments !== undefined) throw wrongEntry(toc.name, "it is a sparse file");
    const differs =
      (toc.type !== type && "type") ||
      (toc.size !== entry.size && "size") ||
      ((toc.mode ^ entry.mode) & 0o7777 && "mode") ||
      (toc.uid !== entry.uid && "uid") ||
      (toc.gid !== entry.gid && "gid") ||
      (entry.linkPath !== "" && toc.linkName !== tocName(entry.linkPath) && "linkName");
    if (differs) throw wrongEntry(toc.name, `its ${differs} is another one than in the archive`);
    this.#entry = entry;
  }
}

const NOT_ASCII = /[^\0-\x7f]/;

/** A name as it can stand in JSON: what is not UTF-8 is lost in it. */
function tocName(name: ByteString): ByteString {
  return NOT_ASCII.test(name) ? byteString(decodeUtf8Lossy(bytesOf(name))) : name;
}
