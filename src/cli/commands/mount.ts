/** `composefs mount`. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { parseFsVerityDigest } from "../../core/fsverity/digest.ts";
import { mountComposefs, planMount } from "../../mount/mod.ts";
import type { MountRequest, VerityMode } from "../../mount/mod.ts";
import type { Invocation } from "../invocation.ts";
import type { Io } from "../io.ts";

/** Mounts an image. */
export function run(invocation: Invocation, io: Io): number {
  const [image, target] = invocation.operands as readonly [ByteString, ByteString];
  const digest = invocation.value("digest");
  const request: MountRequest = {
    image,
    target,
    basedirs: invocation.values("basedir"),
    digest: digest === undefined ? undefined : parseFsVerityDigest(digest),
    verity: invocation.value("verity") as VerityMode | undefined,
    upperdir: invocation.value("upperdir"),
    workdir: invocation.value("workdir"),
    readOnly: invocation.has("read-only"),
    idmap: invocation.value("idmap"),
  };
  if (invocation.has("dry-run")) {
    for (const step of planMount(request).describe()) io.out.text(`${step}\n`);
    return 0;
  }
  mountComposefs(request);
  return 0;
}
