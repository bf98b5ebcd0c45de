/**
 * A descriptor to sync a file system by.
 *
 * The kernel tells of content that it could not write back once to each open file description, from the
 * time on that it was opened (`errseq_t`). Whoever shares one may miss what another was told, and would give
 * a name to an object without its content. So everyone who waits for content has a description of their
 * own, opened before the content is written.
 */

import {
  O_DIRECTORY,
  O_RDONLY,
  close,
  openat,
  syncfs,
  syncfsInBackground,
} from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";

/** The descriptor; opened when it is first needed. */
export class SyncHandle {
  readonly #dirfd: Fd;
  #fd: Fd | undefined;

  /** `dirfd` is any directory of the file system. */
  constructor(dirfd: Fd) {
    this.#dirfd = dirfd;
  }

  /** To be called before anything is written that `sync` shall answer for. */
  open(): Fd {
    return (this.#fd ??= openat(this.#dirfd, ".", O_RDONLY | O_DIRECTORY));
  }

  /** Waits until everything is on the disk. Throws for everything that could not be written since `open`. */
  sync(): void {
    syncfs(this.open());
  }

  /** As {@link sync}, while this thread goes on. */
  syncInBackground(): Promise<void> {
    return syncfsInBackground(this.open());
  }

  close(): void {
    if (this.#fd !== undefined) close(this.#fd);
    this.#fd = undefined;
  }
}
