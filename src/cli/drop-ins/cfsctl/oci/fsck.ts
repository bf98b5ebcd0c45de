/**
 * `cfsctl oci fsck`: the repository, and whether the images behind the tags have what they need.
 *
 * Source of the words: composefs-rs 0.9, what its fsck prints.
 */

import { createHash } from "node:crypto";

import { byteString, displayText } from "../../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import { parseImageConfig, parseManifest } from "../../../../core/oci/mod.ts";
import type { ImageConfig, Manifest, OciDigest } from "../../../../core/oci/mod.ts";
import { CONTENT_TYPE } from "../../../../core/splitstream/mod.ts";
import type { Decompression } from "../../../../core/splitstream/mod.ts";
import { loadZstd } from "../../../../floor/mod.ts";
import { layerStreamName, listTags, manifestStreamName } from "../../../../store/mod.ts";
import type { Repository } from "../../../../store/mod.ts";
import { interruptible } from "../../../interrupt.ts";
import { checkAsCfsctl } from "../fsck-check.ts";
import { fsckJson, fsckText } from "../fsck.ts";
import { printJson } from "../json.ts";
import { readRawDocument } from "../raw-stream.ts";
import type { RawStream } from "../raw-stream.ts";
import { withRepository } from "../repository.ts";
import type { CfsctlCall } from "../settings.ts";

const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
/** In configs of images that were sealed by composefs-rs before 0.9. */
const SEAL_LABEL = "containers.composefs.fsverity";

/** Checks all tagged images, or one. As JSON, what is found is no failure. */
export function fsck({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const [only] = invocation.operands;
  return withRepository(settings, (repository) =>
    interruptible(async (signal) => {
      const zstd = await loadZstd();
      const repo = await checkAsCfsctl(repository, zstd, { signal });
      const errors: string[] = [];
      let checked = 0;
      let corrupted = 0;
      const tags = listTags(repository);
      const found = only === undefined ? tags : tags.filter(({ name }) => name === only);
      if (only !== undefined && found.length === 0) {
        checked = corrupted = 1;
        const name = displayText(only);
        errors.push(`fsck: ref-resolve-failed: ${name}: OCI reference not found: ${name}`);
      }
      for (const { name, manifestDigest } of found) {
        const problems = checkImage(repository, name, manifestDigest, zstd);
        checked++;
        if (problems.length > 0) corrupted++;
        errors.push(...problems.map((problem) => `fsck: ${problem}`));
      }
      const isOk = errors.length === 0 && repo.errors.length === 0;
      if (invocation.has("json")) {
        const counts = { images_checked: checked, images_corrupted: corrupted };
        printJson(io.out, { ok: isOk, ...counts, errors, repo: fsckJson(repo) });
        return 0;
      }
      io.out.text(fsckText(repo));
      io.out.text(`oci images: ${checked - corrupted}/${checked} ok\n`);
      if (errors.length > 0) io.out.text(`oci errors: ${errors.length}\n`);
      for (const error of errors) io.out.text(`  - ${error}\n`);
      if (isOk) return 0;
      throw new ComposefsError(
        "object-corrupt",
        "The repository, or an OCI image in it, is damaged",
      );
    }),
  );
}

/** What is wrong with an image. */
function checkImage(
  repository: Repository,
  tag: ByteString,
  manifestDigest: OciDigest,
  zstd: Decompression,
): string[] {
  const name = displayText(tag);
  if (tag.startsWith("@")) {
    return [`invalid-ref-name: ${name}: leading '@' is reserved for digest references`];
  }
  const problem = (kind: string, ...parts: readonly string[]): string[] => [
    [kind, name, ...parts].join(": "),
  ];
  const manifestName = manifestStreamName(manifestDigest);
  const document = readRawDocument(repository, manifestName, CONTENT_TYPE.ociManifest, zstd);
  if (typeof document === "string") return problem("manifest-read-failed", document);
  const actual = sha256(document.bytes);
  if (actual !== manifestDigest) {
    return problem("manifest-digest-mismatch", `expected ${manifestDigest}, got ${actual}`);
  }
  const manifest = parsed(() => parseManifest(document.bytes));
  if (typeof manifest === "string") return problem("manifest-parse-failed", manifest);

  const { digest } = manifest.config;
  if (refIn(document.stream, `config:${digest}`) === undefined) {
    return problem("config-ref-missing", digest);
  }
  const configName = byteString(`oci-config-${digest}`);
  const config = readRawDocument(repository, configName, CONTENT_TYPE.ociConfig, zstd);
  if (typeof config === "string") return problem("config-read-failed", config);
  const actualConfig = sha256(config.bytes);
  if (actualConfig !== digest) {
    return problem("config-digest-mismatch", `expected ${digest}, got ${actualConfig}`);
  }
  if (manifest.config.mediaType !== CONFIG_TYPE) {
    return checkBlobs(repository, name, manifest, document.stream);
  }
  const image = parsed(() => parseImageConfig(config.bytes));
  if (typeof image === "string") return problem("config-parse-failed", image);
  return checkLayers(repository, name, image, config.stream);
}

function checkLayers(
  repository: Repository,
  name: string,
  config: ImageConfig,
  stream: RawStream,
): string[] {
  const problems: string[] = [];
  for (const diffId of config.diffIds) {
    const object = refIn(stream, diffId);
    if (object === undefined) {
      problems.push(`layer-ref-missing: ${name}: ${diffId}`);
      continue;
    }
    if (repository.streamDigest(layerStreamName(diffId)) === undefined) {
      problems.push(`layer-stream-missing: ${name}: ${diffId}`);
    }
    if (!repository.hasObject(object)) {
      const detail = `Opening object ${repository.algorithm}:${object}`;
      problems.push(`layer-object-missing: ${name}: ${diffId}: ${detail}`);
    }
  }
  const seal = config.run.labels[SEAL_LABEL];
  if (seal !== undefined && !(repository.listImages() as readonly string[]).includes(seal)) {
    problems.push(`seal-image-missing: ${name}: ${seal}: image not found: ${seal}`);
  }
  return problems;
}

function checkBlobs(
  repository: Repository,
  name: string,
  manifest: Manifest,
  stream: RawStream,
): string[] {
  return manifest.layers.flatMap(({ digest }) => {
    const object = refIn(stream, digest);
    if (object === undefined) return [`artifact-layer-ref-missing: ${name}: ${digest}`];
    if (repository.hasObject(object)) return [];
    const detail = `Opening object ${repository.algorithm}:${object}`;
    return [`artifact-layer-object-missing: ${name}: ${digest}: ${detail}`];
  });
}

function refIn(stream: RawStream, name: string): RawStream["objectRefs"][number] | undefined {
  return stream.namedRefs.find((ref) => ref.name === name)?.digest;
}

function parsed<T extends object>(parse: () => T): T | string {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ComposefsError) return error.message;
    throw error;
  }
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
