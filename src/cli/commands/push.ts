/** `composefs push`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { ExportCompression } from "../../sources/mod.ts";
import { writeImageTo } from "../tasks/export-image.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";

/** Names that `export` takes. */
const OTHER_TRANSPORT = /^(?:oci|oci-archive|docker-archive|containers-storage|dir):/;

/** Pushes an image of a repository to a registry. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const [reference, name = reference] = invocation.operands as readonly [ByteString, ByteString?];
  if (OTHER_TRANSPORT.test(name)) {
    throw new ComposefsError("usage", `Cannot push to "${displayText(name)}": not a registry`, {
      hint: "`composefs export` writes to layouts and archives",
    });
  }
  const told = invocation.value("compression") as ExportCompression | undefined;
  if (told !== undefined && invocation.has("chunked")) {
    throw new ComposefsError("usage", "Cannot use --chunked and --compression together");
  }
  const compression = invocation.has("chunked") ? "zstd:chunked" : told;
  const place = (name.startsWith("docker://") ? name : `docker://${name}`) as ByteString;
  await writeImageTo({ reference, place, compression }, invocation, io);
  return 0;
}
