/** The files of a directory; links that lead out of it are refused. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { isErrno } from "../../floor/errors.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_NONBLOCK,
  O_RDONLY,
  close,
  fstat,
  openat,
} from "../../floor/file.ts";
import type { Fd } from "../../floor/file.ts";
import { openBeneath } from "../../floor/open-beneath.ts";
import { corruptArchive } from "../image-files.ts";
import type { ImageFiles } from "../image-files.ts";

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** Opens a directory. */
export function openDirectoryFiles(path: ByteString, name: string): ImageFiles {
  const dirfd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  return {
    name,
    open(file) {
      const fd = openFile(dirfd, file, name);
      if (fd === undefined) return undefined;
      const stat = fstat(fd);
      if ((stat.mode & S_IFMT) === S_IFREG) {
        return { fd, offset: 0, size: stat.size, close: () => close(fd) };
      }
      close(fd);
      throw corruptArchive(name, `${displayText(file)} is not a regular file`);
    },
    close: () => close(dirfd),
  };
}

/** Without waiting, should it be a pipe. */
function openFile(dirfd: Fd, file: ByteString, name: string): Fd | undefined {
  try {
    return openBeneath(dirfd, file, O_RDONLY | O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    if (!isErrno(error, "EXDEV", "ELOOP")) throw error;
    throw corruptArchive(name, `${displayText(file)} is a link that leads out of it`, error);
  }
}
