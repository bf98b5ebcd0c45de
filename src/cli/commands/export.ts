/** `composefs export`. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { ExportCompression } from "../../sources/mod.ts";
import { writeImageTo } from "../tasks/export-image.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";

/** Writes an image of a repository to a target. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const [reference, place] = invocation.operands as readonly [ByteString, ByteString];
  const compression = invocation.value("compression") as ExportCompression | undefined;
  await writeImageTo({ reference, place, compression }, invocation, io);
  return 0;
}
