/**
 * Removes what a plan says, in an order that any moment may interrupt.
 *
 * First the names of streams and images go, and that is made durable, then the objects: a name that is
 * there stands for a stream that is complete. A pull trusts these names and would not fetch again what
 * it finds under one. What is killed in between leaves objects without a name, which the next run takes.
 */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { objectPath } from "../../core/fsverity/digest.ts";
import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  close,
  fsync,
  openat,
  unlinkatIfExists,
} from "../../floor/mod.ts";
import type { Category, RepositoryFiles } from "../survey/repository-files.ts";
import { Turns } from "../survey/turns.ts";
import type { GcPlan } from "./plan.ts";

/** Removals between two reports of progress, about. */
const REPORT_EVERY = 1000;

/** Options of {@link executeGc}. */
export interface ExecuteGcOptions {
  readonly signal?: AbortSignal;
  /** Hears how many objects are gone. */
  readonly onProgress?: (removed: number) => void;
}

/**
 * Executes a plan that was made under the exclusive lock, which the caller still holds. What is gone
 * already is no error. After an abort, or a SyscallError, the repository is as
 * sound as before.
 */
export async function executeGc(
  repository: RepositoryFiles,
  plan: GcPlan,
  options: ExecuteGcOptions = {},
): Promise<void> {
  const turns = new Turns(options.signal);
  for (const category of ["images", "streams"] as const) {
    removeLinks(repository, category, plan.links);
    await turns.next();
  }
  let removed = 0;
  for (const digest of plan.objects) {
    unlinkatIfExists(repository.dirfd, `objects/${objectPath(digest)}`);
    removed++;
    if (removed % REPORT_EVERY === 0) options.onProgress?.(removed);
    await turns.next();
  }
  for (const path of [...plan.origins, ...plan.temporary]) {
    unlinkatIfExists(repository.dirfd, path);
    await turns.next();
  }
  options.onProgress?.(removed);
}

function removeLinks(
  repository: RepositoryFiles,
  category: Category,
  links: readonly ByteString[],
): void {
  const prefix = `${category}/`;
  const ours = links.filter((path) => path.startsWith(prefix));
  if (ours.length === 0) return;
  const dirfd = openat(repository.dirfd, category, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    for (const path of ours) unlinkatIfExists(dirfd, path.slice(prefix.length));
    fsync(dirfd);
  } finally {
    close(dirfd);
  }
}
