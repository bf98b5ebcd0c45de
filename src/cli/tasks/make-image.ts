/**
 * From a directory or a dump file to the bytes of an image: what `mkcomposefs` and `composefs mk` share.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { chooseFormatVersion } from "../../core/erofs/version.ts";
import type { FormatVersion } from "../../core/erofs/version.ts";
import { writeImage } from "../../core/erofs/writer.ts";
import type { WriteImageOptions } from "../../core/erofs/writer.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { computeFsVerityDigest } from "../../core/fsverity/hasher.ts";
import type { Directory } from "../../core/tree/node.ts";
import { validateTree } from "../../core/tree/validate.ts";
import { walkTree } from "../../core/tree/walk.ts";
import { optimizeLater } from "../optimize-later.ts";
import { readDumpFile } from "../arguments/load-tree.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { ProgressEvent } from "../output/progress.ts";

/** How a directory is scanned; see `ScanOptions` of room sources. */
interface ScanRequest {
  readonly useEpoch: boolean;
  readonly skipDevices: boolean;
  readonly skipXattrs: boolean;
  readonly userXattrs: boolean;
  readonly hardlinks: boolean;
  readonly digestStore: ByteString | undefined;
  /** One for each processor unless told. */
  readonly threads: number | undefined;
}

/** What goes into an image. */
export interface ImageContent {
  readonly source: ByteString;
  /** `source` is a dump file (`-` is standard input) and `scan` does not matter. */
  readonly fromFile: boolean;
  /** Refuse dumps that are not exact. */
  readonly strict: boolean;
  readonly scan: ScanRequest;
}

/** What the options of the command line say of it, which both commands have; the other parts are handed in. */
export function imageContent(
  invocation: Invocation,
  given: Pick<ImageContent, "source" | "strict"> & Pick<ScanRequest, "threads">,
): ImageContent {
  const { source, strict, threads } = given;
  return {
    source,
    strict,
    fromFile: invocation.has("from-file"),
    scan: {
      threads,
      useEpoch: invocation.has("use-epoch"),
      skipDevices: invocation.has("skip-devices"),
      skipXattrs: invocation.has("skip-xattrs"),
      userXattrs: invocation.has("user-xattrs"),
      hardlinks: invocation.has("hardlinks"),
      digestStore: invocation.value("digest-store"),
    },
  };
}

/** Reads the tree of an image. When this returns, all objects that were asked for are durable. */
export async function readSource(
  content: ImageContent,
  options: {
    readonly signal: AbortSignal;
    readonly onProgress?: (event: ProgressEvent) => void;
  },
): Promise<Directory> {
  if (content.fromFile) return readDumpFile(content.source, { strict: content.strict });
  // Ten per cent of the time of 10,000 files; of ten times as many, nothing.
  optimizeLater();
  const { scanDirectory } = await import("../../sources/directory/mod.ts");
  const { root } = await scanDirectory(content.source, { ...content.scan, ...options });
  return root;
}

/** The versions that an image may have. */
export type VersionRange =
  | { readonly minVersion: 0 | 1; readonly maxVersion: 0 | 1 }
  | { readonly version: FormatVersion };

/** An image in memory. */
export interface BuiltImage {
  readonly bytes: Uint8Array;
  readonly version: FormatVersion;
}

/**
 * Makes the image. What is made of it goes to `onMade` on the way, see `WriteImageOptions`. Throws
 * `invalid-tree` and `image-too-large`.
 */
export function buildImage(
  root: Directory,
  range: VersionRange,
  onMade?: WriteImageOptions["onMade"],
): BuiltImage {
  const tree = validateTree(root);
  const version = "version" in range ? range.version : chooseFormatVersion(tree, range);
  return { bytes: writeImage(tree, { version, onMade }), version };
}

/** The fs-verity digest that names and seals an image. */
export async function imageDigest(image: Uint8Array): Promise<FsVerityDigest> {
  const { blockHash } = await import("../../floor/block-hash.ts"); // costs 4 ms, and not all want a digest
  return computeFsVerityDigest(image, blockHash("sha256"));
}

/** What is in a tree, in numbers. */
export interface TreeSummary {
  readonly files: number;
  readonly directories: number;
  readonly externalFiles: number;
  readonly externalBytes: number;
  readonly objects: number;
  readonly objectBytes: number;
}

/** Counts a tree. Hard links count as files; their content counts once for each name. */
export function summarizeTree(root: Directory): TreeSummary {
  const sizes = new Map<string, number>();
  let files = 0;
  let directories = 0;
  let externalFiles = 0;
  let externalBytes = 0;
  for (const { node } of walkTree(root)) {
    if (node.kind === "directory") {
      directories++;
      continue;
    }
    files++;
    const leaf = node.kind === "hardlink" ? node.target : node;
    if (leaf.kind !== "file" || leaf.content.kind !== "external") continue;
    const { digest, path, size } = leaf.content;
    externalFiles++;
    externalBytes += size;
    sizes.set(path ?? digest!, size);
  }
  let objectBytes = 0;
  for (const size of sizes.values()) objectBytes += size;
  return { files, directories, externalFiles, externalBytes, objects: sizes.size, objectBytes };
}
