/**
 * Makes a zstd:chunked blob of a tar archive, in one pass: whoever decompresses it gets the archive bit for
 * bit, and what the TOC says is what clients of containers/storage read from the headers themselves.
 *
 * Some archives cannot be put into a TOC so that every reader finds the same in it: sparse files, names that
 * are not UTF-8, one path twice. Their blobs are plain zstd, and the result says why.
 */

import { displayText } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import type { Compression } from "../splitstream/compression.ts";
import type { TarEntry } from "../tar/entry.ts";
import { tarPadding } from "../tar/format.ts";
import { TarReader } from "../tar/reader.ts";
import type { TarEvent, TarReaderOptions } from "../tar/reader.ts";
import { ContentWriter } from "./content-writer.ts";
import { CHUNKED_FOOTER, SKIPPABLE_HEADER_SIZE, ZSTD_MAGIC_SKIPPABLE_START } from "./format.ts";
import { FrameSeries, compressFrame } from "./frame-series.ts";
import { UnusualEntry, readPeerHeader } from "./peer-header.ts";
import type { PeerHeader } from "./peer-header.ts";
import { encodeChunkedFooter, formatChunkedAnnotations } from "./positions.ts";
import type { NewSha256 } from "./sha256.ts";
import { TarSplitWriter } from "./tar-split.ts";
import { TOC_HEAD, formatTocEntry, formatTocTail } from "./toc-writer.ts";

/** How to make a blob. */
export interface ChunkedWriterOptions {
  readonly sha256: NewSha256;
  /** Without one the frames are stored, but for runs of one byte. */
  readonly compression?: Compression;
  readonly tar?: TarReaderOptions;
}

/** What was made. */
export interface ChunkedLayer {
  /** For the descriptor of the layer; none when there is no TOC. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Why there is no TOC; `undefined` when there is one. */
  readonly refusal: string | undefined;
  /** Bytes of the blob. */
  readonly size: number;
}

/** Headers that are compressed together, where no file has content for long. */
const HEADERS_MAX = 1 << 20;
const SEGMENT_MAX = 1 << 20;
const COMMA = Uint8Array.of(0x2c);

/** Makes one blob. */
export class ChunkedLayerWriter {
  readonly #options: ChunkedWriterOptions;
  readonly #reader: TarReader;
  /** What goes into the next frame that holds no content. */
  #headers: Uint8Array[] = [];
  #headersSize = 0;
  #content: ContentWriter | undefined;
  #entry: TarEntry | undefined;
  #index: Index | undefined;
  #refusal: string | undefined;
  #annotations: Record<string, string> = {};
  #size = 0;

  constructor(options: ChunkedWriterOptions) {
    this.#options = options;
    this.#reader = new TarReader({ globalRecords: "ignore", ...options.tar });
    this.#index = new Index(options);
  }

  /** Takes the next bytes of the archive and yields bytes of the blob. Throws TarError. */
  *push(chunk: Uint8Array): Generator<Uint8Array, void> {
    for (const event of this.#reader.push(chunk)) yield* this.#take(event);
  }

  /** Ends the archive and yields the rest of the blob. Throws TarError. */
  *finish(): Generator<Uint8Array, void> {
    for (const event of this.#reader.finish()) yield* this.#take(event);
    yield* this.#flushHeaders();
    if (this.#index === undefined) return;
    const { frames, annotations } = this.#index.finish(this.#size);
    for (const frame of frames) yield this.#out(frame);
    this.#annotations = annotations;
  }

  /** After `finish`. */
  result(): ChunkedLayer {
    return { annotations: this.#annotations, refusal: this.#refusal, size: this.#size };
  }

  *#take(event: TarEvent): Generator<Uint8Array, void> {
    switch (event.kind) {
      case "raw": {
        const bytes = event.bytes.slice();
        this.#headers.push(bytes);
        this.#headersSize += bytes.length;
        this.#index?.raw(bytes);
        if (this.#headersSize >= HEADERS_MAX) yield* this.#flushHeaders();
        return;
      }
      case "entry":
        this.#entry = event.entry;
        this.#indexing((index) => index.open(event.entry));
        return;
      case "data":
        if (this.#content === undefined) {
          yield* this.#flushHeaders();
          const { sha256, compression } = this.#options;
          this.#content = new ContentWriter(this.#size, sha256, compression);
        }
        for (const frame of this.#content.push(event.bytes)) yield this.#out(frame);
        return;
      case "end-of-entry": {
        const content = this.#content;
        this.#content = undefined;
        if (content !== undefined) {
          for (const frame of content.finish()) yield this.#out(frame);
        }
        this.#indexing((index) => index.close(content));
      }
    }
  }

  *#flushHeaders(): Generator<Uint8Array, void> {
    if (this.#headersSize === 0) return;
    const frame = compressFrame(this.#headers, this.#options.compression);
    this.#headers = [];
    this.#headersSize = 0;
    yield this.#out(frame);
  }

  #out(frame: Uint8Array): Uint8Array {
    this.#size += frame.length;
    return frame;
  }

  #indexing(work: (index: Index) => void): void {
    if (this.#index === undefined) return;
    try {
      work(this.#index);
    } catch (error) {
      if (!(error instanceof UnusualEntry)) throw error;
      this.#refusal = `"${displayText(this.#entry!.path)}": ${error.message}`;
      this.#index = undefined;
    }
  }
}

/** TOC and tar-split of one blob. */
class Index {
  readonly #toc: FrameSeries;
  readonly #tarSplit: FrameSeries;
  readonly #records = new TarSplitWriter();
  readonly #paths = new Set<string>();
  /** Since the last content. */
  #raw: Uint8Array[] = [];
  #rawSize = 0;
  /** Padding at the start of `#raw` that belongs to the entry before. */
  #padding = 0;
  #header: PeerHeader | undefined;

  constructor({ compression, sha256 }: ChunkedWriterOptions) {
    this.#toc = new FrameSeries(compression, sha256());
    this.#tarSplit = new FrameSeries(compression, sha256());
    this.#toc.add(TOC_HEAD);
  }

  raw(bytes: Uint8Array): void {
    this.#raw.push(bytes);
    this.#rawSize += bytes.length;
  }

  open(entry: TarEntry): void {
    const raw = this.#takeRaw();
    const header = readPeerHeader(raw.subarray(this.#padding), entry);
    const path = cleanPath(entry.path);
    if (this.#paths.has(path)) throw new UnusualEntry("it is there twice");
    this.#paths.add(path);
    this.#tarSplit.add(this.#records.segment(raw));
    this.#header = header;
  }

  close(content: ContentWriter | undefined): void {
    const header = this.#header!;
    const { chunks, sha256, crc64 } = content?.result() ?? NO_CONTENT;
    this.#tarSplit.add(this.#records.file(header.name, header.size, crc64));
    if (this.#paths.size > 1) this.#toc.add(COMMA);
    this.#toc.add(formatTocEntry({ ...header, chunks, sha256 }));
    this.#padding = tarPadding(header.size);
  }

  finish(offset: number): {
    readonly frames: readonly Uint8Array[];
    readonly annotations: Record<string, string>;
  } {
    const raw = this.#takeRaw();
    for (let at = 0; at < raw.length; at += SEGMENT_MAX) {
      this.#tarSplit.add(this.#records.segment(raw.subarray(at, at + SEGMENT_MAX)));
    }
    const tarSplit = this.#tarSplit.finish();
    this.#toc.add(formatTocTail(tarSplit.sha256));
    const toc = this.#toc.finish();
    const tocOffset = offset + SKIPPABLE_HEADER_SIZE;
    const positions = {
      toc: { ...toc, offset: tocOffset },
      tarSplit: { ...tarSplit, offset: tocOffset + toc.length + SKIPPABLE_HEADER_SIZE },
    };
    const frames = [
      skippableHeader(toc.length),
      ...toc.frames,
      skippableHeader(tarSplit.length),
      ...tarSplit.frames,
      skippableHeader(CHUNKED_FOOTER.size),
      encodeChunkedFooter(positions),
    ];
    return { frames, annotations: formatChunkedAnnotations(positions, toc.sha256) };
  }

  #takeRaw(): Uint8Array {
    const raw = new Uint8Array(this.#rawSize);
    let at = 0;
    for (const part of this.#raw) {
      raw.set(part, at);
      at += part.length;
    }
    this.#raw = [];
    this.#rawSize = 0;
    return raw;
  }
}

const NO_CONTENT = { chunks: [], sha256: "", crc64: undefined } as const;

function skippableHeader(size: number): Uint8Array {
  const header = new Uint8Array(SKIPPABLE_HEADER_SIZE);
  const view = new DataView(header.buffer);
  view.setUint32(0, ZSTD_MAGIC_SKIPPABLE_START, true);
  view.setUint32(4, size, true);
  return header;
}

/** The path as Go's `filepath.Clean` makes it: what tar-split takes for one path. */
function cleanPath(path: ByteString): string {
  const isAbsolute = path.startsWith("/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    const canGoUp = parts.length > 0 && parts.at(-1) !== "..";
    if (part !== "..") parts.push(part);
    else if (canGoUp) parts.pop();
    else if (!isAbsolute) parts.push(part);
  }
  return (isAbsolute ? "/" : "") + parts.join("/");
}
