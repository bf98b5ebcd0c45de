/** zstd:chunked of skopeo and ours, both ways. */

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { CHUNKED_ANNOTATION } from "#src/core/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import { chunkedBlob, indexOf, rejoined } from "../../support/chunked.ts";
import type { ChunkedBlob } from "../../support/chunked.ts";
import { writeOciLayout } from "../../support/layers.ts";
import { needs } from "../../support/needs.ts";
import { peerSkopeo } from "../../support/peers.ts";
import { archive, member, pax } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";

const zstd = await loadZstd();
const peers = needs("peers");

/** What skopeo makes of an archive. */
function peerBlob(tar: Uint8Array): Pick<ChunkedBlob, "blob" | "annotations"> {
  const root = tempDir();
  mkdirSync(join(root, "in"));
  writeOciLayout(join(root, "in"), [tar]);
  const args = ["--dest-compress-format", "zstd:chunked"];
  peerSkopeo("copy", "--quiet", ...args, `oci:${join(root, "in")}`, `oci:${join(root, "out")}:x`);
  const read = (digest: string): Buffer =>
    readFileSync(join(root, "out/blobs", digest.replace(":", "/")));
  const index = JSON.parse(readFileSync(join(root, "out/index.json"), "utf8"));
  const manifest = JSON.parse(read(index.manifests[0].digest).toString());
  const [layer] = manifest.layers;
  return { blob: read(layer.digest), annotations: layer.annotations };
}

/** A tree with what makes trouble, as GNU tar packs it. */
function gnuArchive(...args: string[]): Buffer {
  const root = tempDir();
  mkdirSync(join(root, "tree/sub/dir"), { recursive: true });
  const put = (name: string, content: Uint8Array | string): void =>
    writeFileSync(join(root, "tree", name), content);
  put("hello", "hello\n");
  put("empty", "");
  put("dist.js", readFileSync(new URL("../../../package-lock.json", import.meta.url)));
  put("node", readFileSync(process.execPath).subarray(0, 6 << 20));
  put("zeros", Buffer.alloc(300_000));
  put(`sub/${"long".repeat(50)}`, "long");
  put("sub/\u00e4\u{1f600}<&>\u2028", "unicode");
  symlinkSync("x".repeat(150), join(root, "tree/sub/symlink"));
  const tar = spawnSync("tar", ["-C", join(root, "tree"), "-c", ...args, "."], {
    maxBuffer: 2 ** 28,
  });
  expect(tar.stderr.toString()).toBe("");
  return tar.stdout;
}

/** JSON of a TOC or tar-split without what compression decides. */
function withoutPlaces(json: string): unknown {
  return JSON.parse(json, (key, value) =>
    ["offset", "endOffset", "tarSplitDigest"].includes(key) ? undefined : value,
  );
}

const ARCHIVES: readonly (readonly [string, () => Buffer])[] = [
  ["GNU tar's own format", () => gnuArchive("--format=gnu")],
  ["PAX with all times", () => gnuArchive("--format=pax")],
  ["ustar", () => gnuArchive("--format=ustar", "--exclude=long*", "--exclude=symlink")],
  ["v7", () => gnuArchive("--format=v7", "--exclude=long*", "--exclude=symlink")],
  [
    "devices, xattrs and links",
    () =>
      archive(
        pax([
          ["SCHILY.xattr.security.capability", "\x01\x00\x00\x02\xff"],
          ["SCHILY.xattr.user.empty", ""],
          ["mtime", "-1.5"],
        ]),
        member({ name: "file", uid: 70_000 }, "content"),
        member({ name: "hard", typeflag: "1", linkname: "file" }),
        member({ name: "null", typeflag: "3", devmajor: 1, devminor: 3 }),
        member({ name: "disk", typeflag: "4", devmajor: 8, devminor: 300, mode: 0o100644 }),
        member({ name: "fifo", typeflag: "6" }),
        member({ name: "old/", typeflag: "\0" }),
      ),
  ],
];

peers.describe("zstd:chunked of skopeo", () => {
  for (const [name, make] of ARCHIVES) {
    peers.test(
      `${name}: we read what it writes, and say the same in TOC and tar-split`,
      () => {
        const tar = make();
        const theirs = peerBlob(tar);
        expect(rejoined(theirs, zstd).equals(tar)).toBe(true);

        const ours = chunkedBlob(tar, zstd.compression);
        expect(ours.refusal).toBeUndefined();
        const [their, our] = [indexOf(theirs, zstd), indexOf(ours, zstd)];
        expect(withoutPlaces(our.tocJson.toString())).toEqual(
          withoutPlaces(their.tocJson.toString()),
        );
        const records = (text: Buffer): string[] => text.toString().trimEnd().split("\n");
        // They end in segments for the rest of the archive, which each writer cuts in its own way.
        const count = records(our.tarSplit).length - 1;
        expect(records(our.tarSplit).slice(0, count).map(withoutPlaces)).toEqual(
          records(their.tarSplit).slice(0, count).map(withoutPlaces),
        );
        expect(Object.keys(ours.annotations).sort()).toEqual(
          Object.keys(theirs.annotations)
            .filter((key) => key !== CHUNKED_ANNOTATION.tarSplitDigest)
            .sort(),
        );
      },
      60_000,
    );
  }
});
