/** Partial pulls beside podman's: it takes what we write, we take what it writes, and what an update costs. */

import { execFileSync } from "node:child_process";
import { createReadStream, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect } from "vitest";
import {
  chunkedImporter,
  openImageSource,
  pullImage,
  writeChunkedLayer,
} from "#src/sources/mod.ts";
import type { ChunkedDecision, PullReport } from "#src/sources/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import type { Repository } from "#src/store/mod.ts";
import { newRepository } from "../../store/support.ts";
import { startByteCounter } from "../../support/byte-counter.ts";
import type { ByteCounter } from "../../support/byte-counter.ts";
import { addChunkedImage } from "../../support/chunked-image.ts";
import { contentsOf } from "../../support/contents.ts";
import type { KnownContent } from "../../support/contents.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import { pattern } from "../../support/images.ts";
import { writeOciLayout } from "../../support/layers.ts";
import { needs } from "../../support/needs.ts";
import { findPeers, peerSkopeo, pullIntoPeerStorage } from "../../support/peers.ts";
import { run } from "../../support/run.ts";
import { tempDir } from "../../support/temp.ts";

/** Of this many files one is another one in the update: 3 %. */
const CHANGED_ONE_IN = 33;

/** All files of a tree with their digests, as one text. */
function listing(directory: string): string {
  const command =
    "find . -type f -print0 | sort -z | xargs -0 sha256sum; find . -type l -printf '%p %l\\n' | sort; find . -printf '%p %y %m %U %G\\n' | sort";
  return execFileSync("sh", ["-c", command], { cwd: directory, maxBuffer: 2 ** 28 }).toString();
}

/** What a machine has, as the content index knows it. */
class Machine {
  readonly repo: Repository = newRepository();
  #contents = new Map<string, KnownContent>();
  decisions: ChunkedDecision[] = [];

  async pull(image: string, partial = true): Promise<PullReport> {
    this.decisions = [];
    const source = await openImageSource(image, { registry: { insecure: true } });
    const importer = chunkedImporter({
      contents: {
        records: this.#contents.size,
        find: (digest) => this.#contents.get(digest),
      },
      onDecision: (_, decision) => this.decisions.push(decision),
    });
    try {
      // The way that is tested here is the only one.
      const options = { importers: partial ? [importer] : [], partial: false };
      const report = await pullImage(this.repo, source, options);
      this.#contents = contentsOf(this.repo.path);
      return report;
    } finally {
      await source.close();
    }
  }
}

const peers = needs("peers", "docker-registry", "root", "mount", "time");

peers.describe("partial pulls beside podman's", () => {
  let registry: string;
  let counter: ByteCounter;
  let tree: string;

  beforeAll(async () => {
    registry = (await startRegistry()).host;
    counter = await startByteCounter(registry);

    // A tree of real files, and the same with one in 33 files changed.
    tree = join(tempDir(), "tree");
    mkdirSync(join(tree, "usr/bin"), { recursive: true });
    const root = findPeers()!;
    for (const part of ["usr/share", "usr/bin/skopeo", "etc"]) {
      execFileSync("cp", ["-a", join(root, part), join(tree, part)]);
    }
    const layout = tempDir();
    for (const version of ["old", "new"]) {
      if (version === "new") change(tree);
      const tar = join(tempDir(), "layer.tar");
      const options = [
        "--sort=name",
        "--format=pax",
        "--mtime=@1000000000",
        "-C",
        tree,
        "-cf",
        tar,
      ];
      execFileSync("tar", [...options, "etc", "usr"]);
      const written = writeChunkedLayer(
        createReadStream(tar, { highWaterMark: 1 << 20 }),
        await loadZstd(),
      );
      const pieces: Uint8Array[] = [];
      for await (const piece of written.blob) pieces.push(piece);
      expect(written.result().refusal).toBeUndefined();
      const { annotations } = written.result();
      const archive = readFileSync(tar);
      addChunkedImage(layout, version, [{ blob: Buffer.concat(pieces), annotations, archive }]);
      const from = `oci:${layout}:${version}`;
      peerSkopeo(
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        from,
        `docker://${registry}/ours:${version}`,
      );
      // The same again in what skopeo makes of it.
      const plain = tempDir();
      writeOciLayout(plain, [archive]);
      const again = [
        "--quiet",
        "--dest-tls-verify=false",
        "--dest-compress-format",
        "zstd:chunked",
      ];
      peerSkopeo("copy", ...again, `oci:${plain}`, `docker://${registry}/theirs:${version}`);
    }
  }, 300_000);

  peers.test(
    "podman's storage takes what we write by parts, and has the same tree then",
    async () => {
      const storage = tempDir();
      for (const version of ["old", "new"]) {
        const log = await pullIntoPeerStorage(storage, `${registry}/ours:${version}`);
        expect(log).toContain("Created zstd:chunked differ");
        expect(log).toContain("Retrieved partial blob");
      }
      const layers = readdirSync(join(storage, "graph/overlay")).filter(
        (name) => name.length === 64,
      );
      expect(layers).toHaveLength(2);
      const trees = layers.map((layer) => listing(join(storage, "graph/overlay", layer, "diff")));
      expect(trees.map(withoutRoot)).toContain(withoutRoot(listing(tree)));
    },
    300_000,
  );

  peers.test(
    "an update costs a small part of a whole pull, and no more than podman's",
    async () => {
      const results: Record<string, number> = {};
      for (const maker of ["ours", "theirs"]) {
        const machine = new Machine();
        await machine.pull(`docker://${registry}/${maker}:old`);
        counter.take();
        const report = await machine.pull(`docker://${counter.host}/${maker}:new`);
        const bytes = counter.take();
        expect(machine.decisions).toMatchObject([{ way: "partial" }]);
        const [layer] = report.layers;
        results[`${maker}: whole layer`] = layer!.size;
        results[`${maker}: of it fetched by us`] = layer!.fetched;
        results[`${maker}: on the wire for us`] = bytes;
        expect(bytes).toBeLessThan(0.3 * layer!.size);

        const whole = new Machine();
        const wanted = await whole.pull(`docker://${registry}/${maker}:new`, false);
        expect(report.erofs).toEqual(wanted.erofs);

        const storage = tempDir();
        await pullIntoPeerStorage(storage, `${registry}/${maker}:old`);
        counter.take();
        await pullIntoPeerStorage(storage, `${counter.host}/${maker}:new`);
        const peerBytes = counter.take();
        results[`${maker}: on the wire for podman, partial`] = peerBytes;
        expect(bytes).toBeLessThan(1.1 * peerBytes);
      }
      console.log(results);
    },
    300_000,
  );

  peers.test(
    "a registry that ignores ranges gives the layer whole, and that is said",
    async () => {
      const machine = new Machine();
      await machine.pull(`docker://${registry}/ours:old`);
      const proxy = await startFaultyRegistry(`http://${registry}`);
      proxy.inject({ on: /GET .*\/blobs\//, fault: { kind: "ignore-range" } });
      const report = await machine.pull(`docker://${proxy.host}/ours:new`);
      expect(machine.decisions).toEqual([{ way: "whole", reason: "the server has no ranges" }]);
      // What it cost to find that out is counted.
      expect(report.layers[0]!.fetched).toBeGreaterThanOrEqual(report.layers[0]!.size);
    },
    120_000,
  );
});

/** Gives one in 33 files another content of the same size. */
function change(directory: string): void {
  const found = run("find", [directory, "-type", "f", "-size", "+0", "-print0"]).stdout.toString();
  const files = found
    .split("\0")
    .filter((name) => name !== "")
    .sort();
  for (let i = 5; i < files.length; i += CHANGED_ONE_IN) {
    const bytes = readFileSync(files[i]!);
    const other = pattern(bytes.length, i);
    for (let at = 0; at < bytes.length; at += 97) bytes[at]! ^= other[at]! | 1;
    writeFileSync(files[i]!, bytes);
  }
}

/** The top directory is the mount point's own business. */
function withoutRoot(text: string): string {
  return text
    .split("\n")
    .filter((line) => !line.startsWith(". "))
    .join("\n");
}
