/** `composefs pull`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { parsePlatform } from "../../core/oci/platform.ts";
import { loadZstd } from "../../floor/mod.ts";
import { SealDemand, openImageSource, parseTransport, pullImage } from "../../sources/mod.ts";
import type {
  LayerLimits,
  PullReport,
  TrustedCertificates,
  VerifiedSeal,
} from "../../sources/mod.ts";
import { interruptible } from "../interrupt.ts";
import { optimizeLater } from "../optimize-later.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { openLayerProgress } from "../output/layer-progress.ts";
import { formatCount, formatSize } from "../output/progress.ts";
import type { ProgressMode } from "../output/progress.ts";
import { openRepository } from "../arguments/repository-options.ts";
import { readTrust } from "../arguments/seal-files.ts";
import { sourceOptions } from "../arguments/source-options.ts";

/** Pulls an image. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  optimizeLater();
  const [image, tag = tagFor(image)] = invocation.operands as readonly [ByteString, ByteString?];
  if (invocation.has("keep-user-xattrs") && !invocation.has("bootable")) {
    throw new ComposefsError("usage", "Cannot use --keep-user-xattrs without --bootable");
  }
  const platform = invocation.value("platform");
  const options = {
    tag,
    platform: platform === undefined ? undefined : parsePlatform(platform),
    bootable: invocation.has("bootable"),
    keepUserXattrs: invocation.has("keep-user-xattrs"),
    layersAtOnce: invocation.integer("layers-at-once", 1, 64),
    limits: limitsOf(invocation),
    partial: !invocation.has("no-partial"),
    origin: originOf(image),
  };
  const quiet = invocation.has("quiet");
  const mode = quiet ? "none" : ((invocation.value("progress") ?? "auto") as ProgressMode);
  const start = performance.now();
  const trust = demandedTrust(invocation);
  const repository = openRepository(invocation, io, { writable: true });
  const demand = trust === undefined ? undefined : new SealDemand(repository, trust);
  const progress = openLayerProgress(io.err, mode);
  try {
    const report = await interruptible(async (signal) => {
      const source = await openImageSource(image, sourceOptions(invocation, io));
      try {
        const onProgress = progress.update.bind(progress);
        const check = demand?.check;
        const pulled = await pullImage(repository, source, {
          ...options,
          check,
          signal,
          onProgress,
        });
        await demand?.keep(await loadZstd());
        return pulled;
      } finally {
        await source.close();
      }
    });
    progress.close();
    const seconds = Math.round(performance.now() - start) / 1000;
    const held = demand?.held;
    if (invocation.has("json")) tellJson(report, held, seconds, io);
    else if (!quiet) tell(report, held, seconds, io);
    return 0;
  } finally {
    progress.close();
    repository.close();
  }
}

/** Whom to trust, where a seal is demanded; the one option makes no sense without the other. */
function demandedTrust(invocation: Invocation): TrustedCertificates | undefined {
  const trust = readTrust(invocation);
  if (invocation.has("require-seal") === (trust !== undefined)) return trust;
  throw new ComposefsError("usage", "Cannot use one of --require-seal and --trust alone", {
    hint: "a seal protects only from those whom --trust leaves out",
  });
}

/** A name of a registry without its transport, any other name as it is. */
function tagFor(image: ByteString): ByteString {
  return image.replace(/^docker:\/\//, "") as ByteString;
}

/** The name for later, when the current directory may be another one. */
function originOf(image: ByteString): string {
  const { transport, place } = parseTransport(image);
  if (transport === "docker") return `docker://${place}`;
  if (transport === "containers-storage" || place.startsWith("/")) return image;
  return `${transport}:${Buffer.from(process.cwd()).toString("latin1")}/${place}`;
}

/** "sha256:" and as many digits as tell layers apart. */
const SHORT_DIGEST = 19;

const LIMIT_NAMES: Readonly<Record<string, keyof LayerLimits>> = {
  entries: "entries",
  "path-length": "pathLength",
  "xattr-size": "xattrSize",
  "extension-size": "extensionSize",
  "sparse-segments": "sparseSegments",
  "sparse-size": "sparseSize",
  "raw-size": "rawSize",
  size: "size",
  ratio: "ratio",
};

function limitsOf(invocation: Invocation): Partial<LayerLimits> {
  const limits: { -readonly [Name in keyof LayerLimits]?: number } = {};
  for (const text of invocation.values("limit")) {
    const [, name = "", value = ""] = /^([a-z-]+)=([0-9]{1,15})$/.exec(text) ?? [];
    const key = Object.hasOwn(LIMIT_NAMES, name) ? LIMIT_NAMES[name] : undefined;
    if (key === undefined) {
      throw new ComposefsError(
        "usage",
        `Cannot use "${displayText(text)}" for --limit: not NAME=NUMBER`,
        { hint: `names are ${Object.keys(LIMIT_NAMES).join(", ")}` },
      );
    }
    limits[key] = Number(value);
  }
  return limits;
}

function tellJson(
  report: PullReport,
  held: VerifiedSeal | undefined,
  seconds: number,
  io: Io,
): void {
  const { tag, erofs, ...rest } = report;
  const json = {
    ...rest,
    tag: tag === undefined ? null : displayText(tag),
    erofs: erofs.map(({ version, bootable, digest }) => ({ version, bootable, digest })),
    seal: held === undefined ? null : { mode: held.seal.mode, artifact: held.artifact ?? null },
    seconds,
  };
  io.out.text(`${JSON.stringify(json)}\n`);
}

function tell(report: PullReport, held: VerifiedSeal | undefined, seconds: number, io: Io): void {
  const { layers, objects } = report;
  const missing = layers.filter(({ isPresent }) => !isPresent);
  const fetched = missing.reduce((sum, layer) => sum + layer.fetched, 0);
  const size = missing.reduce((sum, layer) => sum + layer.size, 0);
  const saved = Math.max(0, size - fetched);
  const rows: [string, string][] = [
    [report.kind, displayText(report.tag!)],
    ["manifest", report.manifestDigest],
    ["config", report.configDigest],
  ];
  for (const { version, bootable, digest } of report.erofs) {
    rows.push([`V${version}${bootable ? " boot" : ""}`, digest]);
  }
  if (held !== undefined) rows.push(["sealed by", held.artifact ?? "its manifest"]);
  if (report.outcome === "up-to-date") {
    rows.push(["fetched", "nothing: all of it is here already"]);
  } else {
    const present = layers.length - missing.length;
    const where = present === 0 ? "" : `, ${formatCount(present)} were here already`;
    rows.push(["layers", `${formatCount(layers.length)}${where}`]);
    const savedText = saved === 0 ? "" : `; ${formatSize(saved)} were here already`;
    rows.push(["fetched", `${formatSize(fetched)} in ${seconds} s${savedText}`]);
    for (const layer of missing) rows.push(...chunkedRows(layer));
    rows.push(["objects", describeObjects(objects)]);
  }
  for (const [name, value] of rows) io.out.text(`${name.padEnd(9)} ${value}\n`);
}

/** What became of a zstd:chunked layer. */
function chunkedRows({ digest, chunked }: PullReport["layers"][number]): [string, string][] {
  if (chunked === undefined) return [];
  const layer = digest.slice(0, SHORT_DIGEST);
  if (chunked.way === "whole") return [["whole", `${layer}: ${chunked.reason}`]];
  const { files, bytes } = chunked.reused;
  return [
    ["partial", `${layer}: ${formatCount(files)} files, ${formatSize(bytes)}, were here already`],
  ];
}

function describeObjects(objects: PullReport["objects"]): string {
  const { copied, reflinked, hardlinked, alreadyPresent } = objects;
  const parts = [`${formatCount(copied.objects)} new of ${formatSize(copied.bytes)}`];
  for (const [name, { objects: count, bytes }] of Object.entries({ reflinked, hardlinked })) {
    if (count > 0) parts.push(`${formatCount(count)} ${name} of ${formatSize(bytes)}`);
  }
  if (alreadyPresent.objects > 0) {
    const { objects: count, bytes } = alreadyPresent;
    parts.push(`${formatCount(count)} of ${formatSize(bytes)} were here already`);
  }
  return parts.join(", ");
}
