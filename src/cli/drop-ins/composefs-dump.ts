/**
 * `composefs-dump`, as C's: reads an image and writes it anew in the same format version. C reads no
 * options here, so neither does this, but for `--help` and `--version` standing alone.
 *
 * Source of the behaviour: composefs 1.0.8 tools/composefs-dump.c.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { writeImage } from "../../core/erofs/writer.ts";
import { validateTree } from "../../core/tree/validate.ts";
import { openImageOutput } from "../arguments/image-output.ts";
import type { Io } from "../output/io.ts";
import { readImageFile } from "../arguments/load-tree.ts";
import { COMPOSEFS_DUMP } from "../table/composefs-dump.ts";
import { showHelp, usageError } from "./drop-in.ts";

/** Runs the command. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  if (args.length === 1 && args[0] === "--help") return showHelp(COMPOSEFS_DUMP, io);
  const [source, destination] = args as readonly ByteString[];
  if (source === undefined) throw usageError(COMPOSEFS_DUMP, "No source path specified");
  if (destination === undefined) throw usageError(COMPOSEFS_DUMP, "No destination path specified");
  const { root, version } = readImageFile(source);
  const image = writeImage(validateTree(root), { version });
  const output = openImageOutput(destination, io, { dashIsStdout: false });
  try {
    await output.finish(image);
  } finally {
    await output.discard();
  }
  return 0;
}
