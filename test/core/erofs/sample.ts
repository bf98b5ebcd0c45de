/** An image of every kind of thing, small enough to be broken at every place. */

import { byteStringFrom, parseDump, validateTree, writeImage } from "#src/core/mod.ts";
import type { FormatVersion } from "#src/core/mod.ts";

const DIGEST = "5a".repeat(32);
const OTHER_DIGEST = "c3".repeat(32);
const LABEL = "security.selinux=system_u:object_r:usr_t:s0\\x00";

/** A dump with files of all contents, links, devices, long and odd names, xattrs shared and not. */
export const SAMPLE_DUMP = `/ 0 40755 3 0 0 0 1700000000.0 - - - ${LABEL}
/.hidden 0 100600 1 0 0 0 1700000000.0 - - -
/block 0 60660 1 0 6 1792 1700000000.0 - - -
/char 0 20666 1 0 0 259 1700000000.5 - - -
/dir 0 40700 3 70000 70000 0 1700000001.0 - - - trusted.overlay.opaque=y ${LABEL}
/dir/first 5 100644 2 1000 1000 0 1700000002.0 - inner -
/dir/second 5 @100644 2 1000 1000 0 1700000002.0 /dir/first inner -
/dir/sub 0 40755 3 0 0 0 1700000000.0 - - -
/dir/sub/deep 0 40755 2 0 0 0 1700000000.0 - - -
/dir/sub/deep/leaf 3 120777 1 0 0 0 -5.999999999 a/b - -
/external 1234 100644 1 0 0 0 1700000000.0 5a/${DIGEST.slice(2)} - ${DIGEST} user.tag=one ${LABEL}
/external-by-path 99 100644 1 0 0 0 1700000000.0 some/where - -
/external-twin 1234 100644 1 0 0 0 1700000000.0 5a/${DIGEST.slice(2)} - ${DIGEST}
/fifo 0 10644 1 0 0 0 1700000000.0 - - - ${LABEL}
/huge 1099511627777 100644 1 0 0 0 1700000000.0 c3/${OTHER_DIGEST.slice(2)} - ${OTHER_DIGEST}
/inline 12 100644 1 0 0 0 1700000000.0 - hello\\x20world\\n - user.a=1 user.b=\\x00\\xff
/inline-block 3000 100644 1 0 0 0 1700000000.0 - ${"b".repeat(3000)} -
/link 8 120777 1 0 0 0 1700000000.0 external - -
/n\\xffme\\x20with\\x20\\\\ 0 100644 1 0 0 0 1700000000.0 - - -
/socket 0 140755 1 0 0 0 1700000000.0 - - -
/sparse 65536 100644 1 0 0 0 1700000000.0 - - -
/whiteout 0 20644 1 0 0 0 1700000000.0 - - -
${Array.from({ length: 60 }, (_, i) => `/z-${String(i).padStart(2, "0")}-${"n".repeat(90)} 0 100644 1 0 0 0 1700000000.0 - - -`).join("\n")}
`;

/** The image of a dump. */
export function imageOfDump(dump: string, version: FormatVersion): Uint8Array {
  return writeImage(validateTree(parseDump(new TextEncoder().encode(dump))), { version });
}

/** The image of {@link SAMPLE_DUMP}. */
export function sampleImage(version: FormatVersion): Uint8Array {
  return imageOfDump(SAMPLE_DUMP, version);
}

/** A copy of an image with other bytes at an offset. */
export function patched(
  image: Uint8Array,
  offset: number,
  ...bytes: readonly number[]
): Uint8Array {
  const copy = image.slice();
  copy.set(bytes, offset);
  return copy;
}

/** Where in an image some text stands first. */
export function offsetOfText(image: Uint8Array, text: string): number {
  const at = byteStringFrom(image).indexOf(text);
  if (at < 0) throw new Error(`"${text}" is not in the image`);
  return at;
}
