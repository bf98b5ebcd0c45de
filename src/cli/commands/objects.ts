/** `composefs objects`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { writeJsonArray } from "../output/json.ts";
import { walkImageFile } from "../arguments/load-tree.ts";
import { collectObjects, sortObjects } from "../tasks/objects.ts";

/** Prints the objects that images need. */
export function run(invocation: Invocation, io: Io): number {
  printObjects(objectsOf(invocation), invocation, io);
  return 0;
}

/** The objects of all images of a command line, in byte order. */
export function objectsOf(invocation: Invocation): ByteString[] {
  const objects = new Set<ByteString>();
  for (const image of invocation.operands) {
    walkImageFile(image, invocation.values("filter"), (entries) =>
      collectObjects(entries, objects),
    );
  }
  return sortObjects(objects);
}

/** Prints paths of objects as they are, or as JSON. */
export function printObjects(objects: readonly ByteString[], invocation: Invocation, io: Io): void {
  if (invocation.has("json")) {
    writeJsonArray(io.out, objects.map(displayText));
    return;
  }
  for (const object of objects) {
    io.out.byteString(object);
    io.out.text("\n");
  }
}
