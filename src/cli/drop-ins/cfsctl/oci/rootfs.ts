/** The root file system of an OCI image in the repository: `cfsctl oci dump`, `compute-id` and what shares it. */

import { byteString, displayText } from "../../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import { writeImage } from "../../../../core/erofs/writer.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import { parseFsVerityDigest } from "../../../../core/fsverity/digest.ts";
import { computeFsVerityDigest } from "../../../../core/fsverity/hasher.ts";
import { parseImageConfig } from "../../../../core/oci/mod.ts";
import type { OciDigest } from "../../../../core/oci/mod.ts";
import type { Directory } from "../../../../core/tree/node.ts";
import { validateTree } from "../../../../core/tree/validate.ts";
import { blockHash, loadZstd } from "../../../../floor/mod.ts";
import type { Zstd } from "../../../../floor/mod.ts";
import {
  composeRootfs,
  contentReader,
  findConfig,
  openOciImage,
  readRepositoryLayer,
} from "../../../../store/mod.ts";
import type { Repository } from "../../../../store/mod.ts";
import type { Invocation } from "../../../command-line/invocation.ts";
import { countLinks, formatDumpfile } from "../dumpfile.ts";
import { withRepository } from "../repository.ts";
import type { CfsctlCall } from "../settings.ts";

/** `cfsctl oci dump`. */
export function dump({ settings, invocation, io }: CfsctlCall): Promise<number> {
  return withRepository(settings, async (repository) => {
    const tree = composeNamed(repository, invocation, await loadZstd());
    const pieces = formatDumpfile(tree, byteString("/"), countLinks(tree));
    for (const piece of pieces) io.out.bytes(piece);
    return 0;
  });
}

/** `cfsctl oci compute-id`. */
export function computeId({ settings, invocation, io }: CfsctlCall): Promise<number> {
  return withRepository(settings, async (repository) => {
    const tree = composeNamed(repository, invocation, await loadZstd());
    const image = writeImage(validateTree(tree), { version: repository.formats.default });
    io.out.text(`${computeFsVerityDigest(image, blockHash(repository.algorithm))}\n`);
    return 0;
  });
}

/** The tree that the command line asks for. */
function composeNamed(repository: Repository, invocation: Invocation, zstd: Zstd): Directory {
  return composeTree(repository, diffIdsNamed(repository, invocation, zstd), zstd, {
    bootable: invocation.has("bootable"),
    keepUserXattrs: invocation.value("xattrs") === "keep-user-xattrs",
  });
}

/** The layers of the image that is named by a tag, or by `@` and the digest of its config. */
export function diffIdsNamed(
  repository: Repository,
  { operands: [reference, verity] }: Invocation,
  zstd: Zstd,
): readonly OciDigest[] {
  const expected = verity === undefined ? undefined : parseFsVerityDigest(verity);
  if (!reference!.startsWith("@")) {
    const { config } = openOciImage(repository, reference!, zstd);
    if (config !== undefined) return config.diffIds;
    throw notAnImage(reference!, "it is an artifact");
  }
  const digest = reference!.slice(1) as OciDigest;
  const found = findConfig(repository, digest, zstd);
  if (found === undefined) throw notAnImage(reference!, "its config is not in the repository");
  const stream = repository.streamDigest(byteString(`oci-config-${digest}`));
  if (expected !== undefined && stream !== expected) {
    throw new ComposefsError(
      "verity-mismatch",
      `Cannot use image "${displayText(reference!)}": the stream of its config is ${stream}, not ${expected}`,
    );
  }
  return parseImageConfig(found.bytes).diffIds;
}

/** Merges layers to the tree of an image, or of a bootable one with its labels. */
export function composeTree(
  repository: Repository,
  diffIds: readonly OciDigest[],
  zstd: Zstd,
  options: { readonly bootable: boolean; readonly keepUserXattrs: boolean },
): Directory {
  const layers = diffIds.map((diffId) => readRepositoryLayer(repository, diffId, zstd));
  return composeRootfs(layers, { ...options, readContent: contentReader(repository) });
}

function notAnImage(reference: ByteString, reason: string): ComposefsError {
  return new ComposefsError(
    "not-in-repository",
    `Cannot use image "${displayText(reference)}": ${reason}`,
  );
}
