/** `composefs ls`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { writeJsonArray } from "../output/json.ts";
import { formatListing, jsonEntry, listEntries } from "../output/listing.ts";
import type { ListedEntry } from "../output/listing.ts";
import { readImageFile } from "../arguments/load-tree.ts";

/** Lists an image. */
export function run(invocation: Invocation, io: Io): number {
  const [image, below] = invocation.operands;
  const { root } = readImageFile(image!, invocation.values("filter"));
  const entries = listEntries(root, below);
  const [first] = entries;
  if (first === undefined) {
    throw new ComposefsError(
      "source-unreadable",
      `Cannot list "${displayText(below!)}": not in "${displayText(image!)}"`,
      { hint: "paths are those of the image, from its root" },
    );
  }
  if (invocation.has("json")) writeJsonArray(io.out, jsonEntries(entries));
  else for (const line of formatListing(entries)) io.out.text(`${line}\n`);
  return 0;
}

function* jsonEntries(entries: Iterable<ListedEntry>): Generator<object> {
  for (const entry of entries) yield jsonEntry(entry);
}
