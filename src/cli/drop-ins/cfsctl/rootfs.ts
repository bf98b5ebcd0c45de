/** A directory as the root file system of an image. */

import { readFileSync } from "node:fs";

import { concatByteStrings, displayText } from "../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../core/errors.ts";
import { digestAlgorithm } from "../../../core/fsverity/digest.ts";
import { computeFsVerityDigest } from "../../../core/fsverity/hasher.ts";
import { canonicalizeBootableRootfs, canonicalizeRootfs } from "../../../core/oci/mod.ts";
import { labelTree } from "../../../core/selinux/mod.ts";
import { resolveLink } from "../../../core/tree/node.ts";
import type { Directory, FileContent } from "../../../core/tree/node.ts";
import { walkTree } from "../../../core/tree/walk.ts";
import { blockHash } from "../../../floor/mod.ts";
import { scanDirectory } from "../../../sources/directory/mod.ts";
import type { ScanOptions } from "../../../sources/directory/mod.ts";
import type { Invocation } from "../../command-line/invocation.ts";

/** How a directory is read. */
export interface RootfsRequest {
  readonly path: ByteString;
  readonly isBootable: boolean;
  /** The tree as it is: without its canonical form. */
  readonly isVerbatim: boolean;
  readonly keepUserXattrs: boolean;
}

/** What the command line says about it. */
export function rootfsRequest(invocation: Invocation): RootfsRequest {
  return {
    path: invocation.operands[0]!,
    isBootable: invocation.has("bootable"),
    isVerbatim: invocation.has("no-propagate-usr-to-root"),
    keepUserXattrs: invocation.value("xattrs") === "keep-user-xattrs",
  };
}

/** Reads the directory, and stores its files if told where. Files that share an inode stay hard links. */
export async function readRootfs(
  request: RootfsRequest,
  options: Pick<ScanOptions, "algorithm" | "objects" | "signal">,
): Promise<Directory> {
  const { root } = await scanDirectory(request.path, { ...options, hardlinks: true });
  const { path, isVerbatim, keepUserXattrs } = request;
  const tree = isVerbatim ? root : canonicalizeRootfs(root, { keepUserXattrs });
  if (!request.isBootable) return tree;
  const bootable = canonicalizeBootableRootfs(tree);
  return labelTree(bootable, policyReader(bootable, path));
}

/** Reads the files of the SELinux policy again, which only their digests are known of. */
function policyReader(root: Directory, path: ByteString): (content: FileContent) => Uint8Array {
  const paths = new Map<FileContent, ByteString>();
  for (const { path: at, node } of walkTree(root)) {
    if (!at.startsWith("/etc/selinux/")) continue;
    const leaf = resolveLink(node);
    if (leaf.kind === "file") paths.set(leaf.content, concatByteStrings(path, at));
  }
  return (content) => {
    const file = paths.get(content)!;
    const bytes = readFileSync(Buffer.from(file, "latin1"));
    const digest = content.kind === "external" ? content.digest : undefined;
    if (digest === undefined) return bytes;
    if (computeFsVerityDigest(bytes, blockHash(digestAlgorithm(digest))) === digest) return bytes;
    throw new ComposefsError(
      "source-changed",
      `Cannot read "${displayText(file)}": it changed while it was read`,
    );
  };
}
