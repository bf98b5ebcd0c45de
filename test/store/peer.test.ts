/** Side by side with cfsctl of composefs-rs: a repository made by either is used by the other. */

import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  SplitStreamWriter,
  byteString,
  openImage,
  readTree,
  validateTree,
  writeImage,
} from "#src/core/mod.ts";
import type { ByteString, FormatVersion, FsVerityAlgorithm } from "#src/core/mod.ts";
import { close, fileSourceOf } from "#src/floor/mod.ts";
import { loadZstd } from "#src/floor/zstd.ts";
import { scanDirectory } from "#src/sources/mod.ts";
import { Repository, initRepository } from "#src/store/mod.ts";
import type { ErofsFormats } from "#src/store/mod.ts";
import { cfsctlMissing, runPeer } from "../support/cfsctl.ts";
import { needsThat } from "../support/needs.ts";
import { tempDir } from "../support/temp.ts";
import { INSECURE, freshPath, listing, noise, problemsOfObjects } from "./support.ts";

const peer = needsThat(cfsctlMissing);

const ALGORITHMS = ["sha256", "sha512"] as const satisfies readonly FsVerityAlgorithm[];
const FORMATS: readonly ErofsFormats[] = [
  { default: 1, extra: [] },
  { default: 2, extra: [] },
  { default: 0, extra: [] },
];

function tree(): string {
  const dir = tempDir();
  mkdirSync(join(dir, "usr/lib"), { recursive: true });
  for (const size of [0, 64, 65, 4096, 300_000]) {
    writeFileSync(join(dir, `usr/lib/file-${size}`), noise(size));
  }
  return dir;
}

/** Runs cfsctl on a repository; returns what it printed. */
function cfsctl(path: string, command: string, ...args: string[]): Buffer {
  const done = runPeer(["--insecure", "--repo", path, command, ...args]);
  if (done.status !== 0) throw new Error(`cfsctl ${command}: ${done.stderr}`);
  return done.stdout;
}

/** What cfsctl says about a repository. */
function check(path: string): unknown {
  return JSON.parse(cfsctl(path, "fsck", "--json").toString());
}

peer.describe("cfsctl", () => {
  describe.each(ALGORITHMS)("and a repository with %s", (algorithm) => {
    test.each(FORMATS)("meta.json has the same bytes: %j", (formats) => {
      const theirs = freshPath();
      const version = String(formats.default);
      cfsctl(theirs, "init", `--algorithm=fsverity-${algorithm}-12`, "--erofs-version", version);
      const ours = freshPath();
      initRepository(ours, { ...INSECURE, algorithm, formats });
      expect(readFileSync(join(ours, "meta.json"), "utf8")).toBe(
        readFileSync(join(theirs, "meta.json"), "utf8"),
      );
      // Each finds that the other's is there already.
      expect(initRepository(theirs, { ...INSECURE, algorithm, formats }).outcome).toBe("already");
      const again = cfsctl(
        ours,
        "init",
        `--algorithm=fsverity-${algorithm}-12`,
        "--erofs-version",
        version,
      );
      expect(again.toString()).toMatch(/already initialized/);
    });

    test("what we store is clean for it, and it reads it", async () => {
      const path = freshPath();
      initRepository(path, {
        ...INSECURE,
        algorithm,
        formats: { default: 1, extra: [2] },
      });
      const repository = Repository.open(path);
      const transaction = repository.begin();
      const { root } = await scanDirectory(byteString(tree()), {
        objects: transaction.objects.config,
      });
      const validTree = validateTree(root);
      const images = ([1, 2] as const).map((version: FormatVersion) =>
        transaction.putImage(writeImage(validTree, { version })),
      );
      transaction.setRef("images", byteString("of/ours"), byteString(images[0]!));
      transaction.setRef("images", byteString("second"), byteString(images[1]!));
      const { compression } = await loadZstd();
      const content = noise(70_000);
      const { digest } = transaction.objects.put(content.subarray(1000));
      const writer = new SplitStreamWriter({
        algorithm,
        contentType: 7n,
        ...(compression === undefined ? {} : { compression }),
      });
      writer.writeInline(content.subarray(0, 1000));
      writer.writeExternal(content.length - 1000, digest);
      transaction.putStream(byteString("some-stream"), writer.finish());
      transaction.setRef("streams", byteString("kept"), byteString("some-stream"));
      await transaction.commit();
      repository.close();

      expect(problemsOfObjects(path, algorithm)).toEqual([]);
      expect(check(path)).toMatchObject({
        ok: true,
        images_checked: 2,
        streams_checked: 1,
        objects_checked: 7,
        errors: [],
      });
      expect(cfsctl(path, "cat", "some-stream").equals(content)).toBe(true);
      const listed = cfsctl(path, "image-objects", images[0]!).toString().trim().split("\n").sort();
      expect(listed).toHaveLength(3);
      // It keeps everything, and leaves everything as it was.
      const before = listing(path);
      cfsctl(path, "gc");
      expect(listing(path)).toEqual(before);
    });

    test("what it stores, we read", async () => {
      const path = freshPath();
      cfsctl(path, "init", `--algorithm=fsverity-${algorithm}-12`);
      const source = tree();
      const made = cfsctl(path, "create-image", "--no-propagate-usr-to-root", source, "theirs");
      const digest = made.toString().trim().replace(/^.*:/, "");
      const repository = Repository.open(path, { algorithm });
      expect(repository.listImages()).toEqual([digest]);
      expect(repository.listRefs("images")).toEqual([{ name: "theirs", target: digest }]);
      const opened = repository.openImage(byteString("theirs"));
      const root = readTree(openImage(fileSourceOf(opened.fd, "image")));
      close(opened.fd);
      expect([...root.entries.keys()]).toEqual(["usr"]);
      // What we would store is there already, and the image is the same.
      const transaction = repository.begin();
      const scanned = await scanDirectory(byteString(source), {
        objects: transaction.objects.config,
      });
      expect(scanned.counts).toMatchObject({ objects: 3, newObjects: 0 });
      repository.close();
    });

    test("each makes the same names, and replaces the other's", async () => {
      const [ours, theirs] = [freshPath(), freshPath()];
      const bytes = writeImage(validateTree((await scanDirectory(byteString(tree()))).root), {
        version: 1,
      });
      for (const path of [ours, theirs])
        cfsctl(path, "init", `--algorithm=fsverity-${algorithm}-12`);
      const importTo = async (path: ByteString, name: string, who: "us" | "them") => {
        if (who === "them") {
          const args = ["--insecure", "--repo", path, "import-image", name];
          expect(runPeer(args, { stdin: bytes }).status).toBe(0);
          return;
        }
        const repository = Repository.open(path);
        const transaction = repository.begin();
        transaction.setRef("images", byteString(name), byteString(transaction.putImage(bytes)));
        await transaction.commit();
        repository.close();
      };
      for (const name of ["a", "b/c", "b/d/e"]) {
        await importTo(ours, name, "us");
        await importTo(theirs, name, "them");
      }
      expect(listing(ours)).toEqual(listing(theirs));
      // What is a name of something else already is replaced by both.
      for (const path of [ours, theirs]) {
        rmSync(join(path, "images/refs/b/c"));
        symlinkSync("../../elsewhere", join(path, "images/refs/b/c"));
      }
      await importTo(ours, "b/c", "them");
      await importTo(theirs, "b/c", "us");
      expect(listing(ours)).toEqual(listing(theirs));
      expect(check(ours)).toMatchObject({ broken_links: 0, images_checked: 1 });
    });

    test("each upgrades an old repository to the same metadata", () => {
      const metadata = (["ours", "theirs"] as const).map((who) => {
        const path = freshPath();
        cfsctl(path, "init", `--algorithm=fsverity-${algorithm}-12`);
        cfsctl(path, "create-image", "--no-propagate-usr-to-root", tree(), "theirs");
        rmSync(join(path, "meta.json"));
        if (who === "theirs") cfsctl(path, "images");
        else Repository.open(path, { upgrade: true }).close();
        expect(check(path)).toMatchObject({ ok: true, has_metadata: true });
        return readFileSync(join(path, "meta.json"), "utf8");
      });
      expect(metadata[0]).toBe(metadata[1]);
    });
  });
});
