/** `cfsctl oci mount`. */

import { displayText } from "../../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import { parseOciDigest } from "../../../../core/oci/mod.ts";
import { loadZstd } from "../../../../floor/mod.ts";
import { findErofs, openManifest, openOciImage } from "../../../../store/mod.ts";
import { mountFrom } from "../mount.ts";
import { withRepository } from "../repository.ts";
import type { CfsctlCall } from "../settings.ts";

/** Mounts the EROFS image that a pull has made. Here a digest stands without `@`. */
export function mount({ settings, invocation }: CfsctlCall): Promise<number> {
  const [reference, target] = invocation.operands as readonly [ByteString, ByteString];
  return withRepository(settings, async (repository) => {
    const zstd = await loadZstd();
    const image = reference.startsWith("sha256:")
      ? openManifest(repository, parseOciDigest(reference), zstd)
      : openOciImage(repository, reference, zstd);
    const version = repository.formats.default;
    const bootable = invocation.has("bootable");
    const erofs = findErofs(image, { version, bootable, keepUserXattrs: false });
    if (erofs === undefined) {
      throw new ComposefsError(
        "not-in-repository",
        `Cannot mount "${displayText(reference)}": it has no ${bootable ? "bootable " : ""}EROFS image`,
        { hint: bootable ? "pull it again with --bootable" : "pull it again" },
      );
    }
    mountFrom(repository, erofs as string as ByteString, target, invocation);
    return 0;
  });
}
