/** `composefs tag`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { resolveReference, tagImage } from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { openRepository } from "../arguments/repository-options.ts";

/** Tags an image. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const [image, tag] = invocation.operands as readonly [ByteString, ByteString];
  const repository = openRepository(invocation, io, { writable: true });
  try {
    const manifestDigest = resolveReference(repository, image);
    await tagImage(repository, manifestDigest, tag);
    const json = { tag: displayText(tag), manifestDigest };
    if (invocation.has("json")) io.out.text(`${JSON.stringify(json)}\n`);
    else io.out.text(`Tagged ${manifestDigest} as ${json.tag}\n`);
    return 0;
  } finally {
    repository.close();
  }
}
