/** Files beside `objects`, `streams` and `images` that somebody was about to rename. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { O_DIRECTORY, O_RDONLY, close, openat, readDirectory } from "../../floor/mod.ts";
import { isTemporaryName } from "./names.ts";
import type { RepositoryFiles } from "./repository-files.ts";

/** Their names, in byte order. Links of both programs are made here, and `meta.json`. */
export function readUnfinished({ dirfd }: Pick<RepositoryFiles, "dirfd">): ByteString[] {
  // A descriptor of its own: where the other stands is everybody's.
  const own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY);
  try {
    const names = readDirectory(own).map(({ name }) => name as ByteString);
    return names.filter(isTemporaryName).sort();
  } finally {
    close(own);
  }
}
