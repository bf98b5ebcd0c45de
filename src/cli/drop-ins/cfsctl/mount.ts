/** `cfsctl mount`, and what `oci mount` shares with it. */

import { realpathSync } from "node:fs";

import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../core/errors.ts";
import { mountComposefs } from "../../../mount/mod.ts";
import { close } from "../../../floor/mod.ts";
import type { Repository } from "../../../store/mod.ts";
import type { Invocation } from "../../command-line/invocation.ts";
import { objectsPath, withRepository } from "./repository.ts";
import type { CfsctlCall } from "./settings.ts";

/** `cfsctl mount`. */
export function mount({ settings, invocation }: CfsctlCall): Promise<number> {
  const [name, target] = invocation.operands as readonly [ByteString, ByteString];
  return withRepository(settings, (repository) => {
    mountFrom(repository, name, target, invocation);
    return 0;
  });
}

/**
 * Mounts an image of a repository. Where the repository requires fs-verity, the image's own digest is
 * checked and the kernel checks those of its files.
 */
export function mountFrom(
  repository: Repository,
  name: ByteString,
  target: ByteString,
  invocation: Invocation,
): void {
  if (invocation.value("fuse") === "yes") {
    throw new ComposefsError("mount-failed", "Cannot mount by FUSE: only the kernel mounts here");
  }
  const { digest, fd } = repository.openImage(name);
  try {
    mountComposefs({
      image: fd,
      target: resolved(target),
      basedirs: [objectsPath(repository)],
      ...(repository.verity === "required" ? { digest, verity: "require" } : { verity: "off" }),
      upperdir: invocation.value("upperdir"),
      workdir: invocation.value("workdir"),
      readOnly: !invocation.has("read-write"),
    });
  } finally {
    close(fd);
  }
}

/** The directory itself: the last part of its path may be a symbolic link. */
function resolved(path: ByteString): ByteString {
  return realpathSync(Buffer.from(path, "latin1"), "latin1" as BufferEncoding) as ByteString;
}
