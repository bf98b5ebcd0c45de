/** Opens images by their names, wherever they are. */

import { displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { openArchiveFiles } from "./archive/open-archive.ts";
import type { ArchiveOptions } from "./archive/open-archive.ts";
import { openStorageSource } from "./containers-storage/storage-source.ts";
import type { StorageOptions } from "./containers-storage/storage-conf.ts";
import { parseFileReference } from "./file-reference.ts";
import { DockerArchiveSource } from "./docker-archive/docker-source.ts";
import type { ImageSource } from "./image-source.ts";
import { openDirectoryFiles } from "./layout/directory-files.ts";
import { parseLayoutReference } from "./layout/layout-reference.ts";
import { LayoutSource } from "./layout/layout-source.ts";
import { openRegistrySource } from "./registry/mod.ts";
import type { RegistryOptions } from "./registry/mod.ts";
import { parseTransport } from "./transport.ts";

/** Options of {@link openImageSource}; each transport takes those that mean something to it. */
export interface OpenImageOptions extends ArchiveOptions {
  readonly registry?: RegistryOptions | undefined;
  readonly storage?: StorageOptions | undefined;
}

/**
 * Opens an image by its name: `docker://` or nothing, `oci:`, `oci-archive:`, `docker-archive:`,
 * `containers-storage:`. Paths in it are bytes: one in each code unit. Nothing of the image is believed before it is read. Throws
 * `invalid-reference`, `corrupt-archive`, SyscallError.
 */
export async function openImageSource(
  text: string,
  options: OpenImageOptions = {},
): Promise<ImageSource> {
  const { transport, place } = parseTransport(text);
  const name = displayText(text as ByteString);
  switch (transport) {
    case "oci": {
      const { path, reference } = parseLayoutReference(place);
      return new LayoutSource(openDirectoryFiles(path as ByteString, name), reference);
    }
    case "oci-archive": {
      const { path, reference } = parseLayoutReference(place);
      const files = await openArchiveFiles(path as ByteString, name, options);
      return new LayoutSource(files, reference);
    }
    case "docker-archive": {
      const { path, reference } = parseFileReference(place);
      const files = await openArchiveFiles(path as ByteString, name, options);
      return new DockerArchiveSource(files, reference);
    }
    case "docker":
      // Behind `docker://` names are as Docker has them; others may be searched for.
      return openRegistrySource(place, {
        ...options.registry,
        ...(text.startsWith("docker://") ? { shortNames: "docker.io" } : {}),
      });
    case "containers-storage":
      return openStorageSource(place, name, options.storage);
  }
}
