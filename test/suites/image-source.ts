/** What every source of images promises: one suite, run by the test of each. */

import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  ComposefsError,
  layerCompression,
  ociDigestAlgorithm,
  parseImageConfig,
  parseManifest,
} from "#src/core/mod.ts";
import type { Descriptor, LayerCompression, Manifest } from "#src/core/mod.ts";
import { decompressLayer, resolveImage } from "#src/sources/mod.ts";
import type { ImageSource } from "#src/sources/mod.ts";
import { makeImage } from "../support/oci-image.ts";
import type { TestImage, TestImageOptions } from "../support/oci-image.ts";
import { ociDigestOf } from "../support/oci-documents.ts";

/** A kind of source. */
export interface SourceUnderTest {
  /** Puts an image, for linux/amd64, where the source finds it, and opens it. */
  open(image: TestImage): Promise<ImageSource>;
  /** Whether manifest and layers come out as they went in; some places keep only the content. */
  readonly keepsBytes: boolean;
  readonly image?: TestImageOptions;
  /** Changes one byte of a stored blob, keeping its length; `undefined` where the place cannot. */
  readonly damage?: (image: TestImage, descriptor: Descriptor) => void;
}

/** Joins all pieces. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const taken: Uint8Array[] = [];
  for await (const piece of pieces) taken.push(piece);
  return Buffer.concat(taken);
}

/** Runs a call that must fail, and returns the code of its error. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ComposefsError) return error.code;
    throw error;
  }
  return "no error";
}

/** Defines the tests. `under` makes each of them a source of its own. */
export function describeImageSource(name: string, under: SourceUnderTest): void {
  describe(`${name}: as every source`, () => {
    const opened = async (): Promise<{
      image: TestImage;
      source: ImageSource;
      manifest: Manifest;
      bytes: Uint8Array;
    }> => {
      const image = await makeImage(under.image);
      const source = await under.open(image);
      const { manifest, bytes } = await resolveImage(source, {
        os: "linux",
        architecture: "amd64",
        variant: undefined,
      });
      return { image, source, manifest, bytes };
    };

    test("resolve: gives a manifest that its descriptor describes", async () => {
      const { image, source } = await opened();
      const { descriptor, bytes } = await source.resolve();
      expect(descriptor.size).toBe(bytes.length);
      expect(descriptor.digest).toBe(ociDigestOf(bytes, ociDigestAlgorithm(descriptor.digest)));
      const { manifest, bytes: manifestBytes } = await resolveImage(source);
      expect(parseManifest(manifestBytes, manifest.mediaType)).toEqual(manifest);
      if (under.keepsBytes) expect(Buffer.from(manifestBytes).equals(image.manifest)).toBe(true);
      expect(source.name).not.toBe("");
      await source.close();
    });

    test("readManifest: gives the config, byte for byte", async () => {
      const { image, source, manifest } = await opened();
      const config = await source.readManifest(manifest.config);
      expect(Buffer.from(config).equals(image.config)).toBe(true);
      expect(parseImageConfig(config).diffIds).toEqual(image.diffIds);
      await source.close();
    });

    test("openBlob: gives layers with their digests, and their content", async () => {
      const { image, source, manifest } = await opened();
      expect(manifest.layers).toHaveLength(image.layers.length);
      for (const [i, layer] of manifest.layers.entries()) {
        const blob = await collect(source.openBlob(layer));
        expect(blob.length).toBe(layer.size);
        expect(ociDigestOf(blob, ociDigestAlgorithm(layer.digest))).toBe(layer.digest);
        if (under.keepsBytes) expect(image.blobs.get(layer.digest)?.equals(blob)).toBe(true);
        const how = layerCompression(layer.mediaType) as LayerCompression;
        const tar = await collect(decompressLayer(source.openBlob(layer), how));
        expect(tar.equals(image.layers[i]!)).toBe(true);
      }
      await source.close();
    });

    test("openBlob: serves several readers at once", async () => {
      const { source, manifest } = await opened();
      const all = [...manifest.layers, ...manifest.layers];
      const blobs = await Promise.all(all.map((layer) => collect(source.openBlob(layer))));
      for (const [i, blob] of blobs.entries()) {
        const { digest } = all[i]!;
        expect(ociDigestOf(blob, ociDigestAlgorithm(digest))).toBe(digest);
      }
      await source.close();
    });

    test("openBlob: gives pieces that stay as they are", async () => {
      const { source, manifest } = await opened();
      const hash = createHash(ociDigestAlgorithm(manifest.layers[0]!.digest));
      const pieces: Uint8Array[] = [];
      for await (const piece of source.openBlob(manifest.layers[0]!)) pieces.push(piece);
      for (const piece of pieces) hash.update(piece);
      expect(manifest.layers[0]!.digest.endsWith(hash.digest("hex"))).toBe(true);
      await source.close();
    });

    test("refuses another size than the descriptor's, and another content", async () => {
      const { source, manifest } = await opened();
      const [layer] = manifest.layers;
      for (const size of [layer!.size - 1, layer!.size + 1, 0]) {
        expect(await codeOf(collect(source.openBlob({ ...layer!, size })))).toBe(
          "content-mismatch",
        );
        const config = { ...manifest.config, size };
        expect(await codeOf(source.readManifest(config))).toBe("content-mismatch");
      }
      const huge = { ...manifest.config, size: 2 ** 40 };
      expect(await codeOf(source.readManifest(huge))).toBe("content-mismatch");
      await source.close();
    });

    test("says that it has not what it has not", async () => {
      const { source, manifest } = await opened();
      const absent = { ...manifest.layers[0]!, digest: ociDigestOf("absent") };
      const codes = ["corrupt-archive", "registry-not-found", "not-in-repository"];
      expect(codes).toContain(await codeOf(collect(source.openBlob(absent))));
      expect(codes).toContain(await codeOf(source.readManifest({ ...absent, size: 10 })));
      await source.close();
    });

    test("leaves nothing open behind a reader who stops", async () => {
      const { source, manifest } = await opened();
      const stop = async (): Promise<void> => {
        for await (const piece of source.openBlob(manifest.layers[0]!)) {
          expect(piece.length).toBeGreaterThan(0);
          break;
        }
      };
      await stop();
      const before = openFiles();
      for (let i = 0; i < 20; i++) await stop();
      // A connection that is closed takes a moment.
      await expect.poll(() => openFiles()).toBeLessThanOrEqual(before + 2);
      const blob = await collect(source.openBlob(manifest.layers[0]!));
      expect(blob.length).toBe(manifest.layers[0]!.size);
      await source.close();
    });

    test("stops when it is told to", async () => {
      const { source, manifest } = await opened();
      const reason = new Error("stop");
      const options = { signal: AbortSignal.abort(reason) };
      await expect(collect(source.openBlob(manifest.layers[0]!, options))).rejects.toBe(reason);
      await source.close();
    });

    test("openRanges, where there is one: gives what was asked for", async () => {
      const { source, manifest } = await opened();
      const layer = manifest.layers[0]!;
      const blob = await collect(source.openBlob(layer));
      const ranges = [
        { offset: 0, length: 10 },
        { offset: 100, length: 1 },
        { offset: 50, length: 300 },
        { offset: blob.length - 5, length: 5 },
      ].filter(({ offset, length }) => offset + length <= blob.length);
      const parts = source.openRanges?.(layer, ranges);
      const pieces: Buffer[] = [];
      for await (const { offset, bytes } of parts ?? []) {
        expect(Buffer.from(bytes).equals(blob.subarray(offset, offset + bytes.length))).toBe(true);
        pieces.push(Buffer.from(bytes));
      }
      if (parts !== undefined) {
        const wanted = ranges.map((r) => blob.subarray(r.offset, r.offset + r.length));
        expect(Buffer.concat(pieces).equals(Buffer.concat(wanted))).toBe(true);
      }
      await source.close();
    });

    test("openLayer, where there is one: gives the archive bit for bit", async () => {
      const { image, source, manifest } = await opened();
      for (const [i, layer] of manifest.layers.entries()) {
        const pieces = source.openLayer?.(layer, image.diffIds[i]!);
        if (pieces === undefined) break;
        const { joinLayerPieces } = await import("../support/layer-pieces.ts");
        expect((await joinLayerPieces(pieces)).equals(image.layers[i]!)).toBe(true);
        const other = source.openLayer!(layer, ociDigestOf("another"));
        expect(await codeOf(joinLayerPieces(other))).toBe("content-mismatch");
      }
      await source.close();
    });

    const { damage } = under;
    if (damage !== undefined) {
      test("finds damage, at the latest at the end", async () => {
        const { image, source, manifest } = await opened();
        const layer = manifest.layers[0]!;
        damage(image, layer);
        damage(image, manifest.config);
        expect(await codeOf(collect(source.openBlob(layer)))).toBe("content-mismatch");
        expect(await codeOf(source.readManifest(manifest.config))).toBe("content-mismatch");
        await source.close();
      });
    }
  });
}

function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}
