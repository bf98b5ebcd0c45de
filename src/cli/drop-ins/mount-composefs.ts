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
  MountError,
  MountOptionsError,
  mountComposefs,
  parseMountOptions,
  planMount,
} from "../../mount/mod.ts";
import type { Io } from "../output/io.ts";
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
  if (text === undefined) throw usageError(MOUNT_COMPOSEFS, "No object dirs specified");
  try {
    return parseMountOptions(text);
  } catch (error) {
    if (!(error instanceof MountOptionsError)) throw error;
    throw usageError(MOUNT_COMPOSEFS, error.reason);
  }
}

/** Says why a mount failed in the words that scripts look for. */
function mountError(image: ByteString, error: unknown): unknown {
  if (!(error instanceof ComposefsError)) return error;
  return new ComposefsError(error.code, mountMessage(image, error), {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

function mountMessage(image: ByteString, error: ComposefsError): string {
  const what = `Failed to mount composefs ${displayText(image)}`;
  if (error.code === "verity-missing") return `${what}: Image has no fs-verity`;
  if (error.code === "verity-mismatch") return `${what}: Image has wrong fs-verity`;
  if (!(error instanceof MountError)) return error.message;
  return `${what}: ${error.reason.slice(0, 1).toUpperCase()}${error.reason.slice(1)}`;
}
