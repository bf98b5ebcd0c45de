/** `composefs mount`. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { parseFsVerityDigest } from "../../core/fsverity/digest.ts";
import { mountComposefs, planMount } from "../../mount/mod.ts";
import type { MountRequest, VerityMode } from "../../mount/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { erofsOf, isRepositoryImage, withRepositoryImage } from "../arguments/repository-image.ts";
import { describeRepositoryMount, mountRepositoryImage } from "../../store/bundle/mod.ts";

/** Mounts an image. */
export function run(invocation: Invocation, io: Io): number | Promise<number> {
  const [image, target] = invocation.operands as readonly [ByteString, ByteString];
  if (isRepositoryImage(image, invocation)) return mountFromRepository(invocation, io);
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

async function mountFromRepository(invocation: Invocation, io: Io): Promise<number> {
  const [reference, target] = invocation.operands as readonly [ByteString, ByteString];
  for (const option of ["basedir", "digest", "verity"]) {
    if (!invocation.has(option)) continue;
    throw new ComposefsError(
      "usage",
      `Cannot use --${option} with an image of the repository, which decides it`,
      { hint: "for an image in a file, give its path, and no option that names a repository" },
    );
  }
  const options = {
    upperdir: invocation.value("upperdir"),
    workdir: invocation.value("workdir"),
    readOnly: invocation.has("read-only"),
    idmap: invocation.value("idmap"),
  };
  return withRepositoryImage(reference, invocation, io, (repo, image) => {
    const bootable = invocation.has("bootable");
    const digest = erofsOf(repo, image, reference, { bootable });
    if (invocation.has("dry-run")) {
      const steps = describeRepositoryMount(repo, digest, target, options);
      for (const step of steps) io.out.text(`${step}\n`);
    } else {
      mountRepositoryImage(repo, digest, target, options);
    }
    return 0;
  });
}
