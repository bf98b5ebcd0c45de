/**
 * `mkcomposefs`, as C's: same options, same standard output, same exit status.
 *
 * Source of the behaviour: composefs 1.0.8 tools/mkcomposefs.c and man/mkcomposefs.md.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { DEFAULT_MAX_VERSION, DEFAULT_MIN_VERSION } from "../../core/erofs/version.ts";
import { interruptible } from "../interrupt.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { openImageOutput } from "../arguments/image-output.ts";
import { buildImage, imageContent, imageDigest, readSource } from "../tasks/make-image.ts";
import { MKCOMPOSEFS } from "../table/mkcomposefs.ts";
import { readCommandLine, usageError } from "./drop-in.ts";

/** Runs the command. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const call = readCommandLine(MKCOMPOSEFS, args, io);
  if (typeof call === "number") return call;
  const { invocation, problem } = call;
  const [minVersion, maxVersion] = versionRange(invocation);
  const threads = threadCount(invocation);
  if (problem !== undefined) {
    const missing = problem.kind === "missing-value";
    throw usageError(MKCOMPOSEFS, missing ? "option needs a value" : problem.message);
  }
  const { source, image } = operandsOf(invocation);
  // Refused before the work, like everything that can be.
  const output = image === undefined ? undefined : openImageOutput(image, io);
  const strict = io.env["CFS_PARSE_STRICT"] !== undefined;
  const content = imageContent(invocation, { source, strict, threads });
  return interruptible(async (signal) => {
    const root = await readSource(content, { signal });
    try {
      const onMade = output?.begin.bind(output);
      const { bytes } = buildImage(root, { minVersion, maxVersion }, onMade);
      signal.throwIfAborted();
      await output?.finish(bytes);
      if (invocation.has("print-digest") || image === undefined) {
        io.out.text(`${await imageDigest(bytes)}\n`);
      }
    } finally {
      await output?.discard();
    }
    return 0;
  });
}

function operandsOf(invocation: Invocation): {
  source: ByteString;
  image: ByteString | undefined;
} {
  const [source, image, ...rest] = invocation.operands;
  const digestOnly = invocation.has("print-digest-only");
  if (source === undefined) throw usageError(MKCOMPOSEFS, "No source path specified");
  if (source === "") throw usageError(MKCOMPOSEFS, "Empty source path specified");
  if (rest.length > 0) throw usageError(MKCOMPOSEFS, "Too many arguments");
  if (image === undefined && !digestOnly) {
    throw usageError(MKCOMPOSEFS, "No destination path specified");
  }
  if (image !== undefined && digestOnly) {
    const message = "Cannot specify destination path with --print-digest-only";
    throw usageError(MKCOMPOSEFS, message);
  }
  return { source, image };
}

/** The version range; once one end is given, the other is 0 unless given too. */
function versionRange(invocation: Invocation): [min: 0 | 1, max: 0 | 1] {
  const min = number(invocation, "min-version", "min version");
  const max = number(invocation, "max-version", "max version");
  if (min === undefined && max === undefined) return [DEFAULT_MIN_VERSION, DEFAULT_MAX_VERSION];
  return [knownVersion(min ?? 0), knownVersion(max ?? 0)];
}

function knownVersion(version: number): 0 | 1 {
  if (version === 0 || version === 1) return version;
  throw new ComposefsError("usage", `Cannot write format version ${version}: no such version`, {
    hint: "mkcomposefs has 0 and 1; `composefs mk --min-version=2` writes 2",
  });
}

function threadCount(invocation: Invocation): number | undefined {
  const threads = number(invocation, "threads", "threads count");
  if (threads === undefined || threads > 0) return threads;
  throw new ComposefsError("usage", `Invalid threads count ${threads}`);
}

/** A decimal number as strtol(3) takes it, cut to an `int` as C does. */
function number(invocation: Invocation, name: string, what: string): number | undefined {
  const text = invocation.value(name);
  if (text === undefined) return undefined;
  if (!/^[\t-\r ]*[+-]?[0-9]+$/.test(text)) {
    throw new ComposefsError("usage", `Invalid ${what} ${displayText(text)}`);
  }
  return Number(BigInt.asIntN(32, BigInt(text.trim().replace("+", ""))));
}
