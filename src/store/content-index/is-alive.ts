/** Whether what an entry names is still there. */

import { objectPath } from "../../core/fsverity/digest.ts";
import { lstatatIfExists } from "../../floor/mod.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";
import type { ContentEntry } from "./format.ts";

/** Whether the repository has the object of an entry, as far as its size tells. */
export function isAlive({ dirfd }: RepositoryFiles, { digest, size }: ContentEntry): boolean {
  return lstatatIfExists(dirfd, `objects/${objectPath(digest)}`)?.size === size;
}
