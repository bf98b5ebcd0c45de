/** A small composefs image with its backing files, in a directory of its own, for mount tests. */

import { mkdirSync, writeFileSync } from "node:fs";
import { byteString, parseDump, validateTree, writeImage } from "#src/core/mod.ts";
import type { ByteString } from "#src/core/mod.ts";
import { MNT_DETACH, umount2 } from "#src/floor/mod.ts";
import type { MountRequest } from "#src/mount/mod.ts";
import { mountsBelow } from "../support/machine-state.ts";
import { tempDir } from "../support/temp.ts";

/** Where the parts of the sample lie; all below `directory`. */
export interface Sample {
  readonly directory: string;
  readonly image: string;
  readonly basedir: string;
  readonly target: string;
  /** The plain request: image on target, data from basedir. */
  readonly request: MountRequest;
}

export const DIGEST_OF_NOTHING = "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95";

export const EXTERNAL_CONTENT = "external ".repeat(1000);

const DUMP = `/ 4096 40755 3 0 0 0 1700000000.5 - - -
/directory 4096 40750 2 7 8 0 1600000000.0 - - -
/directory/external 9000 100644 1 1000 1001 0 1500000000.123456789 aa/external - - user.note=hi
/elsewhere 5 100600 1 0 0 0 1.0 bb/elsewhere - -
/inline 6 100755 1 0 0 0 1.0 - inline -
/link 8 120777 1 0 0 0 1.0 directory - -
/missing 5 100644 1 0 0 0 1.0 cc/missing - -
`;

/** Makes the sample. The object of /elsewhere lies in no basedir yet, that of /missing nowhere. */
export function makeSample(): Sample {
  const directory = tempDir();
  const image = `${directory}/image.cfs`;
  const basedir = `${directory}/objects`;
  const target = `${directory}/target`;
  mkdirSync(target);
  mkdirSync(`${basedir}/aa`, { recursive: true });
  writeFileSync(`${basedir}/aa/external`, EXTERNAL_CONTENT);
  writeFileSync(image, imageOf(DUMP));
  const request = {
    image: byteString(image),
    target: byteString(target),
    basedirs: [byteString(basedir)],
  };
  return { directory, image, basedir, target, request };
}

/** The image of a dump, in format version 0. */
export function imageOf(dump: string): Uint8Array {
  return writeImage(validateTree(parseDump(Buffer.from(dump))), { version: 0 });
}

/** A path for Node: byte strings are not UTF-8. */
export function nodePath(path: ByteString | string): Buffer {
  return Buffer.from(path, "latin1");
}

/** Unmounts whatever a failed test left below a directory. */
export function unmountAll(directory: string): void {
  const mounts = mountsBelow(directory);
  for (let line = mounts.pop(); line !== undefined; line = mounts.pop()) {
    // Blanks and backslashes in the path are written as \040 and so on.
    const target = line
      .split(" ")[4]!
      .replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    umount2(target, MNT_DETACH);
  }
}
