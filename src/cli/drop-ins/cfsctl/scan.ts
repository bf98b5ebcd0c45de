/** `cfsctl compute-id`, `compute-karg` and `create-dumpfile`: what a directory would be as an image. */

import { byteString } from "../../../core/bytes/byte-string.ts";
import { writeImage } from "../../../core/erofs/writer.ts";
import type { FormatVersion } from "../../../core/erofs/version.ts";
import { computeFsVerityDigest } from "../../../core/fsverity/hasher.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../../../core/fsverity/digest.ts";
import type { Directory } from "../../../core/tree/node.ts";
import { validateTree } from "../../../core/tree/validate.ts";
import { blockHash } from "../../../floor/mod.ts";
import { interruptible } from "../../interrupt.ts";
import { countLinks, formatDumpfile } from "./dumpfile.ts";
import { readRootfs, rootfsRequest } from "./rootfs.ts";
import { algorithmOf } from "./repository.ts";
import type { CfsctlCall, Settings } from "./settings.ts";

/** `cfsctl compute-id`. */
export async function computeId({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const algorithm = algorithmWithoutRepository(settings);
  const tree = await scan(rootfsRequest(invocation), algorithm);
  io.out.text(`${imageDigest(tree, settings, algorithm)}\n`);
  return 0;
}

/** `cfsctl compute-karg`. */
export async function computeKarg({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const algorithm = algorithmWithoutRepository(settings);
  const tree = await scan({ ...rootfsRequest(invocation), isBootable: true }, algorithm);
  const digest = imageDigest(tree, settings, algorithm);
  io.out.text(`${formatKarg(digest, algorithm, versionOf(settings), settings.insecure)}\n`);
  return 0;
}

/** `cfsctl create-dumpfile`. */
export async function createDumpfile({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const tree = await scan(rootfsRequest(invocation), algorithmWithoutRepository(settings));
  for (const piece of formatDumpfile(tree, byteString("/"), countLinks(tree))) io.out.bytes(piece);
  return 0;
}

/**
 * The kernel argument that makes the initial RAM disk mount the image with this digest. With a question
 * mark it goes on where the digest cannot be checked.
 */
export function formatKarg(
  digest: FsVerityDigest,
  algorithm: FsVerityAlgorithm,
  version: FormatVersion,
  isOptional: boolean,
): string {
  const optional = isOptional ? "?" : "";
  return version === 2
    ? `composefs=${optional}${digest}`
    : `composefs.digest=${optional}v1-${algorithm}-12:${digest}`;
}

function scan(
  request: ReturnType<typeof rootfsRequest>,
  algorithm: FsVerityAlgorithm,
): Promise<Directory> {
  return interruptible((signal) => readRootfs(request, { algorithm, signal }));
}

/** These commands ask a repository for its hash alone, and do without one. */
function algorithmWithoutRepository(settings: Settings): FsVerityAlgorithm {
  const chosen = settings.hash ?? "sha512";
  if (settings.noRepo) return chosen;
  try {
    return algorithmOf(settings);
  } catch {
    return chosen;
  }
}

function versionOf(settings: Settings): FormatVersion {
  return settings.erofsVersion ?? 1;
}

function imageDigest(
  tree: Directory,
  settings: Settings,
  algorithm: FsVerityAlgorithm,
): FsVerityDigest {
  const image = writeImage(validateTree(tree), { version: versionOf(settings) });
  return computeFsVerityDigest(image, blockHash(algorithm));
}
