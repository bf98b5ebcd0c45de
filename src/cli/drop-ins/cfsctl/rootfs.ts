/** A directory as the root file system of an image. */

import { byteString } from "../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../core/errors.ts";
import { canonicalizeBootableRootfs, canonicalizeRootfs } from "../../../core/oci/mod.ts";
import { relinkTree } from "../../../core/oci/relink.ts";
import type { Directory } from "../../../core/tree/node.ts";
import { scanDirectory } from "../../../sources/mod.ts";
import type { ScanOptions } from "../../../sources/mod.ts";
import type { Invocation } from "../../invocation.ts";

const SELINUX = byteString("security.selinux");

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
  const { isVerbatim, keepUserXattrs } = request;
  const tree = isVerbatim ? root : canonicalizeRootfs(root, { keepUserXattrs });
  return request.isBootable ? bootableRootfs(tree) : tree;
}

/** The tree of a bootable image that has no SELinux policy: labels of the machine that built it go. */
function bootableRootfs(root: Directory): Directory {
  const etc = root.entries.get(byteString("etc"));
  if (etc?.kind === "directory" && etc.entries.has(byteString("selinux"))) {
    throw new ComposefsError(
      "invalid-policy",
      "Cannot label the files of a bootable image: there is a policy in /etc/selinux, and policies are not known here yet",
    );
  }
  return relinkTree(canonicalizeBootableRootfs(root), (stat) => {
    if (!stat.xattrs.has(SELINUX)) return stat;
    return { ...stat, xattrs: new Map([...stat.xattrs].filter(([name]) => name !== SELINUX)) };
  });
}
