/**
 * The objects that a tree needs, and those of them that are nowhere to be found.
 */

import { closeSync, openSync, statSync } from "node:fs";

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { ImageEntry } from "../../core/erofs/walk-image.ts";
import { cannotOpen } from "../arguments/load-tree.ts";

/** Adds the paths of all backing files of an image's entries to `objects`, as the image has them. */
export function collectObjects(entries: Iterable<ImageEntry>, objects: Set<ByteString>): void {
  for (const { node } of entries) {
    if (node.kind !== "file" || node.content.kind !== "external") continue;
    if (node.content.path !== undefined) objects.add(node.content.path);
  }
}

/** The paths in byte order. */
export function sortObjects(objects: Iterable<ByteString>): ByteString[] {
  return [...objects].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Base directories that are open, so that one that is not there is an error and not "all missing". */
export class Basedirs {
  readonly #fds: number[] = [];

  /** Opens directories. Throws `source-unreadable`. */
  constructor(paths: readonly ByteString[]) {
    for (const path of paths) {
      try {
        // With a slash only a directory can be opened, without reading it.
        this.#fds.push(openSync(Buffer.from(`${path}/.`, "latin1"), "r"));
      } catch (error) {
        this.close();
        throw cannotOpen("base directory", path, error);
      }
    }
  }

  /** Whether one of the directories has this object; symlinks are followed. */
  has(object: ByteString): boolean {
    const relative = object.replace(/^\/+/, "");
    return this.#fds.some((fd) => {
      const path = Buffer.from(`/proc/self/fd/${fd}/${relative}`, "latin1");
      try {
        return statSync(path, { throwIfNoEntry: false }) !== undefined;
      } catch {
        return false; // whatever the reason, nobody can read it there
      }
    });
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }
}
