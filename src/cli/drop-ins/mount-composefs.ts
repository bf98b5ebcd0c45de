/**
 * `mount.composefs`, as C's, and as the helper that mount(8) calls:
 * `mount.composefs SPEC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`.
 *
 * Source of the behaviour: composefs 1.0.8 tools/mountcomposefs.c and man/mount.composefs.md; mount(8),
 * "External helpers".
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import {
  MountOptionsError,
  mountComposefs,
  parseMountOptions,
  planMount,
} from "../../mount/mod.ts";
import type { Io } from "../io.ts";
import { reasonOf } from "../reason.ts";
import { MOUNT_COMPOSEFS } from "../table/mount-composefs.ts";
import { readCommandLine, usageError } from "./drop-in.ts";

/** Runs the command. */
export function run(args: readonly string[], io: Io): number {
  const call = readCommandLine(MOUNT_COMPOSEFS, args, io);
  if (typeof call === "number") return call;
  const { invocation, problem } = call;
  const type = invocation.values("t").find((value) => value !== "composefs");
  if (type !== undefined) {
    throw new ComposefsError("usage", `Unsupported fs type '${displayText(type)}'`);
  }
  if (problem !== undefined) throw usageError(MOUNT_COMPOSEFS, problem.message);
  const [image, target] = invocation.operands;
  if (image === undefined) throw usageError(MOUNT_COMPOSEFS, "No source path specified");
  if (target === undefined) throw usageError(MOUNT_COMPOSEFS, "No mount path specified");
  const request = { image, target, ...readOptions(invocation.value("o")) };
  if (invocation.has("v")) {
    for (const step of planMount(request).describe()) io.err.text(`mount.composefs: ${step}\n`);
    io.err.flush();
  }
  if (invocation.has("f")) return 0;
  try {
    mountComposefs(request);
  } catch (error) {
    throw mountError(image, error);
  }
  return 0;
}

function readOptions(text: ByteString | undefined): ReturnType<typeof parseMountOptions> {
  try {
    return parseMountOptions(text ?? ("" as ByteString));
  } catch (error) {
    if (!(error instanceof MountOptionsError)) throw error;
    throw usageError(MOUNT_COMPOSEFS, error.reason);
  }
}

/** Names the image in the words that scripts look for. */
function mountError(image: ByteString, error: unknown): unknown {
  if (!(error instanceof ComposefsError)) return error;
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  const message = `Failed to mount composefs ${displayText(image)}: ${mountReason(error)}`;
  return new ComposefsError(error.code, message, { cause: error, ...hint });
}

function mountReason(error: ComposefsError): string {
  switch (error.code) {
    case "verity-missing":
      return "Image has no fs-verity";
    case "verity-mismatch":
      return "Image has wrong fs-verity";
    default:
      return error.message.includes(reasonOf(error))
        ? error.message
        : `${error.message}: ${reasonOf(error)}`;
  }
}
