/**
 * Every byte of an image, named: offset, length, structure, field, value.
 *
 * The fields tile the file: no gap, no overlap. What no structure of the image accounts for is
 * padding if it is zeros, else "unreferenced". A broken image is explained as far as it can be, and
 * the field where `walkImage` gives up says so.
 */

import { displayText } from "../bytes/byte-string.ts";
import { SourceReader } from "../bytes/reader.ts";
import type { ByteSource } from "../bytes/source.ts";
import { ImageError } from "../errors.ts";
import { bytesPreview, extentFields, headerFields, superBlockFields } from "./explain-fields.ts";
import type { ExplainedField } from "./explain-fields.ts";
import { EROFS_BLKSIZ, EROFS_NULL_ADDR } from "./format.ts";
import { START_EXTENTS, mapImage } from "./image-map.ts";
import type { Extent } from "./image-map.ts";
import { openImage } from "./reader.ts";
import type { ErofsImage } from "./reader.ts";
import { walkImage } from "./walk-image.ts";

export type { ExplainedField };

/**
 * Names every byte of an image. Throws `not-erofs` where there is nothing to explain; what else is
 * wrong with the image is the `problem` of a field.
 */
export function* explainImage(source: ByteSource): Generator<ExplainedField, void, undefined> {
  const { image, extents, problem } = examine(source);
  const reader =
    image?.reader ??
    new SourceReader(source, (offset) => new ImageError("corrupt-image", offset, "cut off"));
  const problemAt = Math.min(problem?.offset ?? Infinity, reader.size - 1);
  let position = 0;
  let pending = problem;
  for (const field of fieldsOf(reader, image, extents)) {
    position = field.offset + field.length;
    if (pending === undefined || position <= problemAt) {
      yield field;
    } else {
      yield { ...field, problem: pending.message };
      pending = undefined;
    }
  }
}

/** Writes explained fields as lines for people: offset, length, field, value, by structure. */
export function* formatExplained(
  fields: Iterable<ExplainedField>,
): Generator<string, void, undefined> {
  let heading = "";
  for (const field of fields) {
    const { offset, length, structure, path } = field;
    const here = path === undefined ? structure : `${structure}  ${path}`;
    if (here !== heading) {
      heading = here;
      yield here;
    }
    const where = `${offset.toString(16).padStart(8, "0")} ${String(length).padStart(6)}`;
    yield `  ${where}  ${field.field.padEnd(22)} ${field.value}`;
    if (field.problem !== undefined) yield `  !! ${field.problem}`;
  }
}

interface Examined {
  readonly image: ErofsImage | undefined;
  readonly extents: readonly Extent[];
  readonly problem: ImageError | undefined;
}

/** Opens the image, finds what lies where, and asks for the verdict on the whole. */
function examine(source: ByteSource): Examined {
  let image: ErofsImage;
  try {
    image = openImage(source);
  } catch (error) {
    if (!(error instanceof ImageError) || error.code === "not-erofs") throw error;
    const extents = START_EXTENTS.filter((extent) => extent.offset + extent.length <= source.size);
    return { image: undefined, extents, problem: error };
  }
  const extents = image.wholly(() => mapImage(image));
  try {
    image.wholly(() => {
      for (const _ of walkImage(image));
    });
    return { image, extents, problem: undefined };
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return { image, extents, problem: error };
  }
}

/** The fields of all extents and of what is between them. */
function* fieldsOf(
  reader: SourceReader,
  image: ErofsImage | undefined,
  extents: readonly Extent[],
): Generator<ExplainedField, void, undefined> {
  let position = 0;
  for (const extent of extents) {
    // In a broken image structures may overlap: the first to come keeps the bytes.
    if (extent.offset < position) continue;
    yield* gapFields(reader, position, extent.offset);
    position = extent.offset;
    for (const field of fieldsOfExtent(reader, image, extent)) {
      position = field.offset + field.length;
      if (field.length > 0) yield field;
    }
  }
  yield* gapFields(reader, position, reader.size);
}

function fieldsOfExtent(
  reader: SourceReader,
  image: ErofsImage | undefined,
  extent: Extent,
): Iterable<ExplainedField> {
  if (extent.kind === "header") return headerFields(reader);
  if (extent.kind === "super-block") return superBlockFields(reader);
  return extentFields(image!, extent);
}

/** Names bytes that no structure accounts for, one block at a time. */
function* gapFields(
  reader: SourceReader,
  from: number,
  to: number,
): Generator<ExplainedField, void, undefined> {
  for (let at = from; at < to;) {
    const length = Math.min(to, at - (at % EROFS_BLKSIZ) + EROFS_BLKSIZ) - at;
    const bytes = reader.view(at, length);
    if (bytes.every((byte) => byte === 0)) {
      yield { offset: at, length, structure: "padding", field: "padding", value: "zeros" };
    } else if (length === EROFS_BLKSIZ && bytes.every((byte) => byte === 0xff)) {
      // C leaves no address to a table that did not fit behind its inode.
      const value = `${EROFS_BLKSIZ / 4} times 0x${EROFS_NULL_ADDR.toString(16)} (a hole)`;
      yield { offset: at, length, structure: "chunk table", field: "addresses", value };
    } else {
      const value = displayText(bytesPreview(bytes));
      yield { offset: at, length, structure: "unreferenced", field: "bytes", value };
    }
    at += length;
  }
}
