/** The OCI images behind the tags: what belongs together, and with `deep`, whether it is what it says. */

import { createHash } from "node:crypto";

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { isOciDigest, ociDigestAlgorithm, ociDigestHex } from "../../core/oci/oci-digest.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import { joinSplitStream } from "../../core/splitstream/reader.ts";
import { SyscallError, close, preadFully } from "../../floor/mod.ts";
import { openOciImage } from "../oci/image.ts";
import type { OciImage } from "../oci/image.ts";
import { layerStreamName } from "../oci/names.ts";
import { regenerateErofs } from "../oci/regenerate.ts";
import type { Repository } from "../repository.ts";
import type { Finding, FindingKind } from "./finding.ts";

const PIECE = 1 << 18;

/** Checks what a tag names. Never throws for what is there. */
export function checkOciImage(
  repo: Repository,
  tag: ByteString,
  where: ByteString,
  decompression: Decompression,
  deep: boolean,
): Finding[] {
  const findings: Finding[] = [];
  const report = (kind: FindingKind, detail: string, digest?: FsVerityDigest): void => {
    findings.push({ kind, severity: "damage", where, digest, detail });
  };
  if (tag.startsWith("@")) {
    report("invalid-ref-name", "a tag that begins with @ would be taken for a digest");
    return findings;
  }
  const image = caught(() => openOciImage(repo, tag, decompression));
  if (typeof image === "string") {
    report("manifest-read-failed", image);
    return findings;
  }
  let areLayersThere = true;
  for (const { diffId, stream } of image.layers) {
    const named = caught(() => repo.streamDigest(layerStreamName(diffId)) !== undefined);
    if (named !== true || !repo.hasObject(stream)) {
      report("layer-stream-missing", `there is no stream of layer ${diffId}`, stream);
      areLayersThere = false;
    }
  }
  const sealed = sealOf(image);
  if (sealed !== undefined && !repo.listImages().includes(sealed as FsVerityDigest)) {
    report("seal-image-missing", `its config names the image ${sealed}`);
  }
  if (deep && areLayersThere && image.config !== undefined) {
    const trouble = caught(() => {
      for (const { name, wanted, digest } of regenerateErofs(repo, image, decompression)) {
        if (digest === wanted) continue;
        report("erofs-mismatch", `${displayText(name)}: the layers make ${digest}`, wanted);
      }
      return "";
    });
    if (trouble !== "") report("erofs-mismatch", `cannot be made again: ${trouble}`);
  }
  return findings;
}

/** Puts an archive together again and compares its digest with the name of its stream. */
export function checkLayerContent(
  repo: Repository,
  name: ByteString,
  decompression: Decompression,
): Finding | undefined {
  const diffId = name.slice("oci-layer-".length);
  if (!name.startsWith("oci-layer-") || !isOciDigest(diffId)) return undefined;
  const actual = caught(() => {
    const { stream, close: closeStream } = repo.openStream(name);
    try {
      const hash = createHash(ociDigestAlgorithm(diffId));
      const pieces = joinSplitStream(stream, decompression, (digest) => readPieces(repo, digest));
      for (const piece of pieces) hash.update(piece);
      return hash.digest("hex");
    } finally {
      closeStream();
    }
  });
  if (actual === ociDigestHex(diffId)) return undefined;
  return {
    kind: "layer-digest-mismatch",
    severity: "damage",
    where: `streams/${name}` as ByteString,
    digest: undefined,
    detail: `what it gives is ${actual ?? "not there"}`,
  };
}

function* readPieces(repo: Repository, digest: FsVerityDigest): Generator<Uint8Array, void> {
  const fd = repo.openObject(digest);
  try {
    const buffer = new Uint8Array(PIECE);
    for (let at = 0; ;) {
      const count = preadFully(fd, buffer, at);
      yield buffer.subarray(0, count);
      at += count;
      if (count < buffer.length) return;
    }
  } finally {
    close(fd);
  }
}

/** What sealed images of composefs-rs before 0.9 have in their config. */
function sealOf({ configBytes, config }: OciImage): string | undefined {
  if (config === undefined) return undefined;
  // The config has been parsed before: it is JSON, with whatever in it.
  const parsed: unknown = JSON.parse(Buffer.from(configBytes).toString("utf8"));
  const seal = member(member(member(parsed, "config"), "Labels"), "containers.composefs.fsverity");
  return typeof seal === "string" ? seal : undefined;
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** What `work` returns, or the words of the error that it threw. */
function caught<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof ComposefsError || error instanceof SyscallError) return error.message;
    throw error;
  }
}
