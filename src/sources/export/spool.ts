/** Bytes whose digest and size have to be known before they are sent: kept in a file without a name. */

import { createHash } from "node:crypto";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { formatOciDigest } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  close,
  createTemporaryFile,
  discardTemporaryFile,
  openat,
  pwriteFully,
} from "../../floor/mod.ts";
import { readFilePart } from "../image-files.ts";

/** What was kept. */
export interface Spool {
  readonly digest: OciDigest;
  readonly size: number;
  read(signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Gives the space back. */
  close(): void;
}

/** Keeps `content` in a file in `directory`. Throws SyscallError, and what `content` throws. */
export async function spoolContent(
  content: AsyncIterable<Uint8Array>,
  directory: ByteString,
): Promise<Spool> {
  const dirfd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  try {
    const file = createTemporaryFile(dirfd, 0o600);
    try {
      const hash = createHash("sha256");
      let size = 0;
      for await (const bytes of content) {
        pwriteFully(file.fd, bytes, size);
        hash.update(bytes);
        size += bytes.length;
      }
      const fd = openat(AT_FDCWD, `/proc/self/fd/${file.fd}`, O_RDONLY);
      return {
        digest: formatOciDigest("sha256", hash.digest()),
        size,
        read: (signal) => readFilePart({ fd, offset: 0, size }, signal),
        close: () => close(fd),
      };
    } finally {
      discardTemporaryFile(file, dirfd);
    }
  } finally {
    close(dirfd);
  }
}
