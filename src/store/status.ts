/** What a repository holds, in numbers. */

import { objectPath } from "../core/fsverity/digest.ts";
import { FileStat, lstatatIfExists } from "../floor/mod.ts";
import type { Repository } from "./repository.ts";
import { readLinks } from "./survey/links.ts";
import { readObjectDirectories } from "./survey/objects.ts";
import { Turns } from "./survey/turns.ts";
import { readUnfinished } from "./survey/unfinished.ts";

/** Numbers of what is there, and of what does not belong there. */
export interface RepositoryCounts {
  readonly objects: number;
  /** Sum of the sizes of the objects. */
  readonly objectBytes: number;
  readonly images: number;
  readonly streams: number;
  readonly imageRefs: number;
  readonly streamRefs: number;
  /** Files that are being made, or whose maker died. */
  readonly temporary: number;
  /** Files of no known name. */
  readonly strange: number;
}

/** Counts; reads directories and nothing else. */
export async function countRepository(
  repository: Repository,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<RepositoryCounts> {
  const turns = new Turns(options.signal);
  const stat = new FileStat();
  let objects = 0;
  let objectBytes = 0;
  let temporary = readUnfinished(repository).length;
  let strange = 0;
  for (const directory of readObjectDirectories(repository)) {
    temporary += directory.temporary.length;
    strange += directory.strange.length;
    for (const digest of directory.objects) {
      const found = lstatatIfExists(directory.dirfd, objectPath(digest).slice(3), stat);
      if (found === undefined) continue; // gone meanwhile
      objects++;
      objectBytes += found.size;
    }
    await turns.next();
  }
  const images = readLinks(repository, "images");
  const streams = readLinks(repository, "streams");
  for (const links of [images, streams]) {
    temporary += links.temporary.length;
    strange += links.strange.length;
  }
  return {
    objects,
    objectBytes,
    images: images.entries.size,
    streams: streams.entries.size,
    imageRefs: images.refs.length,
    streamRefs: streams.refs.length,
    temporary,
    strange,
  };
}
