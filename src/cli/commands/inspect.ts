/** `composefs inspect`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { formatPlatform } from "../../core/oci/platform.ts";
import { loadZstd } from "../../floor/mod.ts";
import {
  listReferrers,
  listTags,
  measureUsage,
  objectsOfImage,
  openOciImage,
} from "../../store/mod.ts";
import type { OciImage, Repository } from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { formatSize } from "../output/progress.ts";
import { openRepository } from "../arguments/repository-options.ts";

/** Shows an image. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const given = ["manifest", "config", "json"].filter((name) => invocation.has(name));
  if (given.length > 1) {
    const names = given.map((name) => `--${name}`).join(" and ");
    throw new ComposefsError("usage", `Cannot use ${names} together`);
  }
  const zstd = await loadZstd();
  const repository = openRepository(invocation, io);
  try {
    const image = openOciImage(repository, invocation.operands[0]!, zstd);
    if (invocation.has("manifest")) io.out.bytes(image.manifestBytes);
    else if (invocation.has("config")) io.out.bytes(image.configBytes);
    else if (invocation.has("json")) tellJson(repository, image, io);
    else tell(repository, image, io);
    return 0;
  } finally {
    repository.close();
  }
}

function tellJson(repo: Repository, image: OciImage, io: Io): void {
  const json = {
    manifestDigest: image.manifestDigest,
    configDigest: image.configDigest,
    kind: image.config === undefined ? "artifact" : "image",
    manifest: parseJson(image.manifestBytes),
    config: parseJson(image.configBytes),
    layers: image.layers.map(({ descriptor: { digest, mediaType, size }, diffId, stream }) => ({
      ...{ digest, diffId, mediaType, size, stream },
    })),
    erofs: Object.fromEntries(image.erofs),
    referrers: listReferrers(repo, image.manifestDigest),
    tags: tagsOf(repo, image),
    size: sizeOf(repo, image),
  };
  io.out.text(`${JSON.stringify(json)}\n`);
}

/** The config of an artifact can be anything. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

function tagsOf(repo: Repository, { manifestDigest }: OciImage): string[] {
  const tags = listTags(repo).filter((tag) => tag.manifestDigest === manifestDigest);
  return tags.map(({ name }) => displayText(name));
}

function sizeOf(repo: Repository, image: OciImage): number {
  const objects = new Map([[image.manifestDigest, objectsOfImage(repo, image)]]);
  return measureUsage(repo, objects).get(image.manifestDigest)!.size;
}

function tell(repo: Repository, image: OciImage, io: Io): void {
  const { config, manifest } = image;
  const rows: [string, string][] = [
    ["tags", tagsOf(repo, image).join(", ") || "none"],
    ["manifest", image.manifestDigest],
    ["config", image.configDigest],
    ["size", formatSize(sizeOf(repo, image))],
  ];
  if (config !== undefined) {
    rows.push(["platform", formatPlatform(config.platform)]);
    if (config.created !== undefined) rows.push(["created", config.created]);
    const { entrypoint, cmd, user, workingDir, env } = config.run;
    if (entrypoint.length > 0) rows.push(["entrypoint", JSON.stringify(entrypoint)]);
    if (cmd.length > 0) rows.push(["command", JSON.stringify(cmd)]);
    if (user !== "") rows.push(["user", user]);
    if (workingDir !== "") rows.push(["directory", workingDir]);
    for (const each of env) rows.push(["environment", each]);
  } else if (manifest.artifactType !== undefined) {
    rows.push(["artifact", manifest.artifactType]);
  }
  for (const { descriptor, diffId } of image.layers) {
    const { digest, size } = descriptor;
    const plain = diffId === digest ? "" : `  without compression ${diffId}`;
    rows.push(["layer", `${digest}  ${formatSize(size)}${plain}`]);
  }
  for (const [name, digest] of image.erofs) rows.push([displayText(name), digest]);
  for (const digest of listReferrers(repo, image.manifestDigest)) rows.push(["referrer", digest]);
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) {
    io.out.text(
      `${name.padEnd(width)}  ${displayText(value as Parameters<typeof displayText>[0])}\n`,
    );
  }
}
