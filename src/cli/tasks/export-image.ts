/** What `export` and `push` have in common: an image out of the repository to a target. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { exportImage, openImageTarget } from "../../sources/mod.ts";
import type { ExportCompression, ExportReport, ImageTarget } from "../../sources/mod.ts";
import { interruptible } from "../interrupt.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { formatCount, formatSize, openProgress } from "../output/progress.ts";
import type { ProgressMode } from "../output/progress.ts";
import { withRepository } from "../arguments/repository-image.ts";

const LEVEL_MAX: Partial<Record<ExportCompression, number>> = { gzip: 9, zstd: 19 };

/** What a command line asks for. */
export interface ExportRequest {
  readonly reference: ByteString;
  /** With its transport. */
  readonly place: ByteString;
  readonly compression: ExportCompression | undefined;
}

/** Writes an image of a repository to a target, and tells what was written. */
export async function writeImageTo(
  { reference, place, compression }: ExportRequest,
  invocation: Invocation,
  io: Io,
): Promise<void> {
  const level = levelOf(invocation, compression);
  const quiet = invocation.has("quiet");
  const mode = quiet ? "none" : ((invocation.value("progress") ?? "auto") as ProgressMode);
  const start = performance.now();
  const progress = openProgress(io.err, mode);
  try {
    const { target, report } = await withRepository(invocation, io, async (repo, open) => {
      const image = open(reference);
      const opened = await openImageTarget(place, { registry: registryOptions(invocation, io) });
      return interruptible(async (signal) => {
        const done = await commit(opened, () =>
          exportImage(repo, image, opened, {
            compression,
            level,
            signal,
            onProgress: ({ layers, totalLayers, bytes, totalBytes }) => {
              const event = { files: layers, totalFiles: totalLayers, bytes, totalBytes };
              progress.update({ phase: "write", ...event });
            },
          }),
        );
        return { target: opened, report: done };
      });
    });
    progress.close();
    const seconds = Math.round(performance.now() - start) / 1000;
    if (invocation.has("json")) {
      io.out.text(`${JSON.stringify({ target: target.name, ...report, seconds })}\n`);
    } else if (!quiet) tell(target, report, seconds, io);
  } finally {
    progress.close();
  }
}

/** Makes visible what was written, or nothing of it. */
async function commit<T>(target: ImageTarget, write: () => Promise<T>): Promise<T> {
  let written: T;
  try {
    written = await write();
  } catch (error) {
    await target.discard?.();
    throw error;
  }
  await target.close();
  return written;
}

function levelOf(
  invocation: Invocation,
  compression: ExportCompression | undefined,
): number | undefined {
  if (!invocation.has("level")) return undefined;
  const most = compression === undefined ? undefined : LEVEL_MAX[compression];
  if (most !== undefined) return invocation.integer("level", 1, most);
  throw new ComposefsError("usage", "Cannot use --level without --compression=gzip or zstd");
}

function registryOptions(
  invocation: Invocation,
  { env }: Io,
): { environment: Io["env"]; authFile: string | undefined; insecure: boolean | undefined } {
  const verify = invocation.value("tls-verify");
  return {
    environment: env,
    authFile: invocation.value("authfile"),
    insecure: verify === undefined ? undefined : verify === "false",
  };
}

function tell(target: ImageTarget, report: ExportReport, seconds: number, io: Io): void {
  const { layers, manifestDigest, originalManifestDigest } = report;
  const isNew = manifestDigest !== originalManifestDigest;
  const changed = layers.filter(({ digest, originalDigest }) => digest !== originalDigest).length;
  const there = layers.filter(({ wasThere }) => wasThere).length;
  const size = layers.reduce((sum, layer) => sum + layer.size, 0);
  const rows: [string, string][] = [
    ["target", displayText(target.name as ByteString)],
    ["manifest", isNew ? `${manifestDigest}, new: it was` : `${manifestDigest}, as it was`],
    ...(isNew ? [["", originalManifestDigest] as [string, string]] : []),
    [
      "layers",
      `${formatCount(layers.length)} of ${formatSize(size)}, ${formatCount(changed)} with another digest, ${formatCount(there)} were there`,
    ],
    ...layers.flatMap(({ diffId, notChunked }): [string, string][] =>
      notChunked === undefined ? [] : [["", `${diffId} is plain zstd: ${notChunked}`]],
    ),
    ["time", `${seconds.toFixed(2)} s`],
  ];
  for (const [name, value] of rows) {
    io.out.text(`${io.out.style("dim", name.padEnd(8))} ${value}\n`);
  }
}
