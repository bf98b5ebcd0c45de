/**
 * Reads a tar archive in one pass: chunks of any size in, events out. Every byte of the archive comes
 * out in exactly one event, in order, so that what is read can be written again bit for bit.
 *
 * Known: V7, ustar, PAX with global headers, GNU long names and base-256 numbers, all sparse dialects,
 * xattrs of star and libarchive. Refused are archives that readers disagree on: content behind what
 * has none, headers behind a block of zeros, two long names for one entry.
 *
 * Not done here: names are not judged (`..` is a name), content is not kept, compression is not known.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { assembleEntry, mergeGlobalRecords } from "./entry.ts";
import type { TarEntry } from "./entry.ts";
import { TAR_BLOCKSIZE, TYPEFLAG, tarPadding } from "./format.ts";
import { decodeHeader, isZeroBlock, untilNul } from "./header.ts";
import type { TarHeader, Trouble } from "./header.ts";
import { MORE, TarInput } from "./input.ts";
import type { Step, TarEvent } from "./input.ts";
import { DEFAULT_TAR_LIMITS } from "./limits.ts";
import type { TarLimits } from "./limits.ts";
import { parsePaxRecords } from "./pax.ts";
import type { PaxRecord } from "./pax.ts";
import {
  PaxMapText,
  SparseMapBuilder,
  readOldGnuExtension,
  readOldGnuHeader,
  readPaxSparse,
} from "./sparse.ts";
import type { SparseSegment } from "./sparse.ts";

export type { TarEvent } from "./input.ts";

/** Options of {@link TarReader}. */
export interface TarReaderOptions {
  readonly limits?: Partial<TarLimits>;
  /**
   * What a PAX header for the whole archive (type `g`) does. POSIX and GNU tar: it applies to all that
   * follows ("apply", unless told). Go, and so every container runtime, and composefs-rs: nothing.
   */
  readonly globalRecords?: "apply" | "ignore";
}

const CUT_EXTENSION = "archive ends inside an extension header";
const CUT_SPARSE_MAP = "archive ends inside a sparse map";

interface Pending {
  records: readonly PaxRecord[] | undefined;
  longName: ByteString | undefined;
  longLink: ByteString | undefined;
}

/** Reads one archive. After an error it is of no further use. */
export class TarReader {
  readonly #limits: TarLimits;
  readonly #appliesGlobal: boolean;
  readonly #input: TarInput;
  readonly #trouble: Trouble;
  readonly #steps: Generator<Step, void>;
  #isBusy = false;
  #entries = 0;
  #globalRecords: readonly PaxRecord[] = [];
  #canSkip = false;
  #skips = false;

  constructor(options: TarReaderOptions = {}) {
    this.#limits = { ...DEFAULT_TAR_LIMITS, ...options.limits };
    this.#appliesGlobal = options.globalRecords !== "ignore";
    this.#input = new TarInput(this.#limits.rawSize);
    this.#trouble = this.#input.trouble;
    this.#steps = this.#archive();
  }

  /**
   * Takes the next chunk and yields what it completes; nothing happens before the first event is asked
   * for. All events must be taken before the next chunk is pushed; nothing is kept of the chunk after
   * that. Throws TarError.
   */
  *push(chunk: Uint8Array): Generator<TarEvent, void> {
    if (this.#isBusy) throw new TypeError("events of the last chunk were not all taken");
    this.#isBusy = true;
    this.#input.feed(chunk);
    for (let step = this.#steps.next(); step.done !== true; step = this.#steps.next()) {
      if (step.value === MORE) break;
      yield step.value;
    }
    this.#isBusy = false;
  }

  /** Says that no chunk follows, and yields the last events. Throws TarError when the archive is cut. */
  *finish(): Generator<TarEvent, void> {
    this.#input.isLast = true;
    yield* this.push(new Uint8Array(0));
  }

  /**
   * Says that the content of the entry reported last will not be pushed: it lies elsewhere, and the
   * next byte pushed is the padding behind it. Only for an entry with content, before any of it.
   */
  skipContent(): void {
    if (!this.#canSkip) throw new TypeError("there is no entry whose content could be skipped");
    this.#skips = true;
    this.#canSkip = false;
  }

  /** Whether {@link skipContent} may be called now. */
  get canSkipContent(): boolean {
    return this.#canSkip;
  }

  *#archive(): Generator<Step, void> {
    const pending: Pending = { records: undefined, longName: undefined, longLink: undefined };
    for (;;) {
      this.#input.markHeader();
      const block = yield* this.#input.block("archive ends inside a header");
      if (block === undefined || isZeroBlock(block)) {
        if (isAnySet(pending)) throw this.#trouble.corrupt("extension header without an entry");
        if (block !== undefined) yield* this.#end();
        return;
      }
      const header = decodeHeader(block, this.#trouble.corrupt);
      switch (header.typeflag) {
        case TYPEFLAG.XGLTYPE:
          this.#addGlobal(yield* this.#records(header));
          break;
        case TYPEFLAG.XHDTYPE:
          this.#assertUnset(pending.records, "PAX headers");
          pending.records = yield* this.#records(header);
          break;
        case TYPEFLAG.GNUTYPE_LONGNAME:
          this.#assertUnset(pending.longName, "long names");
          pending.longName = untilNul(yield* this.#extension(header));
          break;
        case TYPEFLAG.GNUTYPE_LONGLINK:
          this.#assertUnset(pending.longLink, "long link targets");
          pending.longLink = untilNul(yield* this.#extension(header));
          break;
        default:
          yield* this.#entry(block, header, { ...pending });
          pending.records = pending.longName = pending.longLink = undefined;
      }
    }
  }

  *#entry(block: Uint8Array, header: TarHeader, pending: Pending): Generator<Step, void> {
    if (++this.#entries > this.#limits.entries) {
      throw this.#trouble.overLimit(`more than ${this.#limits.entries} entries`);
    }
    const extensions = { globalRecords: this.#globalRecords, ...pending };
    const assembled = assembleEntry(header, extensions, this.#limits, this.#trouble);
    const sparse = yield* this.#sparse(block, header, pending.records ?? [], assembled);
    const entry = sparse === undefined ? assembled : { ...assembled, ...sparse };
    this.#canSkip = entry.storedSize > 0;
    yield { kind: "entry", entry };
    const segments = entry.segments ?? [{ offset: 0, size: entry.storedSize }];
    for (const { offset, size } of segments) yield* this.#content(offset, size);
    this.#skips = false;
    yield { kind: "end-of-entry" };
    // At the end of the archive padding may be missing: umoci leaves it out.
    yield* this.#input.passUpToEnd(tarPadding(entry.storedSize));
  }

  /** Reads the map of a sparse file, whichever dialect it is; `undefined` for any other entry. */
  *#sparse(
    block: Uint8Array,
    header: TarHeader,
    records: readonly PaxRecord[],
    entry: TarEntry,
  ): Generator<Step, { segments: SparseSegment[]; size: number; storedSize: number } | undefined> {
    if (entry.kind !== "file") return undefined;
    const limit = this.#limits.sparseSegments;
    const map = new SparseMapBuilder(limit, () =>
      this.#trouble.overLimit(`a sparse file of more than ${limit} pieces`),
    );
    let { storedSize } = entry;
    let fileSize: number | undefined;
    if (header.typeflag === TYPEFLAG.GNUTYPE_SPARSE) {
      const first = readOldGnuHeader(block, map, this.#trouble.corrupt);
      fileSize = first.fileSize;
      for (let { goesOn } = first; goesOn;) {
        goesOn = readOldGnuExtension(
          yield* this.#input.fullBlock(CUT_SPARSE_MAP),
          map,
          this.#trouble.corrupt,
        );
      }
    } else {
      const described = readPaxSparse(records, map, this.#trouble);
      if (described === undefined) return undefined;
      fileSize = described.fileSize;
      if (described.mapInContent) {
        const text = new PaxMapText(map, this.#trouble.corrupt);
        do {
          storedSize -= TAR_BLOCKSIZE;
          if (storedSize < 0) throw this.#trouble.corrupt("sparse map is larger than the content");
        } while (text.push(yield* this.#input.fullBlock(CUT_SPARSE_MAP)));
      }
    }
    fileSize ??= storedSize;
    return {
      segments: map.finish(fileSize, storedSize, this.#trouble.corrupt),
      size: fileSize,
      storedSize,
    };
  }

  /** Reports `size` bytes of content that belong at `offset` of the file. */
  *#content(offset: number, size: number): Generator<Step, void> {
    for (let done = 0; done < size;) {
      if (this.#skips) {
        this.#input.skip(size - done);
        return;
      }
      const bytes = this.#input.take(size - done);
      if (bytes.length === 0) {
        yield* this.#input.more("archive ends inside the content of a file");
        continue;
      }
      this.#canSkip = false;
      yield { kind: "data", bytes, offset: offset + done };
      done += bytes.length;
    }
  }

  /** Reports the second block of zeros, and whatever follows it, as it is. */
  *#end(): Generator<Step, void> {
    const second = yield* this.#input.block("archive ends inside its last block");
    if (second === undefined) return;
    // GNU tar stops at one block of zeros, others go on: what is in the archive depends on the reader.
    if (!isZeroBlock(second))
      throw this.#trouble.corrupt("one block of zeros, and then more headers");
    yield* this.#input.passUpToEnd(Infinity);
  }

  *#records(header: TarHeader): Generator<Step, PaxRecord[]> {
    return parsePaxRecords(yield* this.#extension(header), this.#trouble.corrupt);
  }

  /** Returns the content of an extension header, in a buffer of its own. */
  *#extension({ size }: TarHeader): Generator<Step, Uint8Array> {
    if (size < 0) throw this.#trouble.corrupt("size is negative");
    if (size > this.#limits.extensionSize) {
      throw this.#trouble.overLimit(
        `an extension header of ${size} bytes, more than ${this.#limits.extensionSize}`,
      );
    }
    const content = new Uint8Array(size);
    yield* this.#input.pass(size, CUT_EXTENSION, content);
    yield* this.#input.pass(tarPadding(size), CUT_EXTENSION);
    return content;
  }

  #addGlobal(records: readonly PaxRecord[]): void {
    if (!this.#appliesGlobal) return;
    this.#globalRecords = mergeGlobalRecords(
      this.#globalRecords,
      records,
      this.#limits,
      this.#trouble,
    );
  }

  #assertUnset(value: unknown, what: string): void {
    if (value !== undefined) throw this.#trouble.corrupt(`two ${what} for one entry`);
  }
}

function isAnySet({ records, longName, longLink }: Pending): boolean {
  return records !== undefined || longName !== undefined || longLink !== undefined;
}
