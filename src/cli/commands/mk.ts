/** `composefs mk`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { DEFAULT_MAX_VERSION, DEFAULT_MIN_VERSION } from "../../core/erofs/version.ts";
import { ComposefsError } from "../../core/errors.ts";
import { openImageOutput } from "../arguments/image-output.ts";
import type { ImageOutput } from "../arguments/image-output.ts";
import { interruptible } from "../interrupt.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import {
  buildImage,
  imageContent,
  imageDigest,
  readSource,
  summarizeTree,
} from "../tasks/make-image.ts";
import type { TreeSummary, VersionRange } from "../tasks/make-image.ts";
import { formatCount, formatSize, openProgress } from "../output/progress.ts";
import type { ProgressMode } from "../output/progress.ts";

/** What was made; the JSON has these keys. */
interface Made extends TreeSummary {
  readonly digest: string;
  readonly image: string | null;
  readonly imageSize: number;
  readonly formatVersion: number;
  readonly seconds: number;
}

/** Makes an image. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const range = versionRange(invocation);
  const content = imageContent(invocation, {
    source: invocation.operands[0]!,
    strict: invocation.has("strict"),
    threads: invocation.integer("threads", 1, 1024),
  });
  const { image, output } = outputOf(invocation, io);
  const quiet = invocation.has("quiet");
  const mode = quiet ? "none" : ((invocation.value("progress") ?? "auto") as ProgressMode);
  const start = performance.now();
  return interruptible(async (signal) => {
    const progress = openProgress(io.err, mode);
    try {
      const root = await readSource(content, {
        signal,
        onProgress: (event) => progress.update(event),
      });
      const summary = summarizeTree(root);
      const { bytes, version } = buildImage(root, range, output?.begin.bind(output));
      signal.throwIfAborted();
      const digest = await imageDigest(bytes);
      progress.update({ phase: "write", files: summary.files, bytes: bytes.length });
      await output?.finish(bytes);
      progress.close();
      const made: Made = {
        digest,
        image: image === undefined ? null : displayText(image),
        imageSize: bytes.length,
        formatVersion: version,
        ...summary,
        seconds: Math.round(performance.now() - start) / 1000,
      };
      tell(made, invocation, io);
      return 0;
    } finally {
      progress.close();
      await output?.discard();
    }
  });
}

function outputOf(
  invocation: Invocation,
  io: Io,
): { image: ByteString | undefined; output: ImageOutput | undefined } {
  const image = invocation.operands[1];
  const digestOnly = invocation.has("digest-only");
  if (digestOnly !== (image === undefined)) {
    const message = digestOnly
      ? "Cannot write an image with --digest-only: leave IMAGE out"
      : "Cannot make an image: IMAGE is missing";
    throw new ComposefsError("usage", message, { hint: "`composefs mk --help` tells more" });
  }
  return { image, output: image === undefined ? undefined : openImageOutput(image, io) };
}

function versionRange(invocation: Invocation): VersionRange {
  const min = invocation.integer("min-version", 0, 2);
  const max = invocation.integer("max-version", 0, 2);
  if (min === undefined && max === undefined) {
    return { minVersion: DEFAULT_MIN_VERSION, maxVersion: DEFAULT_MAX_VERSION };
  }
  // Version 2 holds everything that 0 and 1 hold in another layout: it is never chosen, only asked for.
  if (min === 2) return { version: 2 };
  return { minVersion: min === 1 ? 1 : 0, maxVersion: (max ?? 0) >= 1 ? 1 : 0 };
}

function tell(made: Made, invocation: Invocation, io: Io): void {
  // With the image on standard output, what is said about it goes to standard error.
  const to = made.image === "-" ? io.err : io.out;
  if (invocation.has("json")) to.text(`${JSON.stringify(made)}\n`);
  else if (invocation.has("digest-only")) to.text(`${made.digest}\n`);
  else if (!invocation.has("quiet")) {
    for (const [name, value] of summaryRows(made)) {
      to.text(`${to.style("dim", name.padEnd(8))} ${value}\n`);
    }
  }
}

function summaryRows(made: Made): [name: string, value: string][] {
  const saved = made.externalBytes - made.objectBytes;
  const files = counted(made.files, "file", "files");
  const directories = counted(made.directories, "directory", "directories");
  const external =
    `${counted(made.externalFiles, "file", "files")} of ${formatSize(made.externalBytes)} ` +
    `in ${counted(made.objects, "object", "objects")} of ${formatSize(made.objectBytes)}`;
  return [
    ["digest", made.digest],
    ["image", `${made.image}, ${formatSize(made.imageSize)}, format version ${made.formatVersion}`],
    ["tree", `${files}, ${directories}`],
    ["content", saved > 0 ? `${external}, ${formatSize(saved)} saved` : external],
    ["time", `${made.seconds.toFixed(2)} s`],
  ];
}

function counted(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
