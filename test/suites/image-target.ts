/** What every target of images promises: one suite, run by the test of each. */

import { describe, expect, test } from "vitest";
import { ComposefsError, MEDIA_TYPE, parseManifest } from "#src/core/mod.ts";
import type { Descriptor } from "#src/core/mod.ts";
import type { ImageSource, ImageTarget } from "#src/sources/mod.ts";
import { descriptorOf, ociDigestOf } from "../support/oci-documents.ts";
import { makeImage } from "../support/oci-image.ts";
import type { TestImage } from "../support/oci-image.ts";
import { collect } from "./image-source.ts";

/** A kind of target. */
export interface TargetUnderTest {
  /** Opens a place of its own, and says how it is read after it was closed. */
  open(): Promise<{ target: ImageTarget; read(): Promise<ImageSource> }>;
  readonly algorithms: readonly ("sha256" | "sha512")[];
}

/** Yields bytes in pieces. */
async function* pieces(bytes: Uint8Array, size = 100_000): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Puts a whole image. */
export async function putImage(target: ImageTarget, image: TestImage, tag?: string): Promise<void> {
  const { config, layers, mediaType } = parseManifest(image.manifest);
  for (const blob of [config, ...layers]) {
    if (await target.hasBlob(blob)) continue;
    await target.putBlob(blob, pieces(image.blobs.get(blob.digest)!));
  }
  const digest = await target.putManifest(image.manifest, mediaType, tag ?? target.tag);
  expect(digest).toBe(ociDigestOf(image.manifest));
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ComposefsError) return error.code;
    throw error;
  }
  return "no error";
}

/** Defines the tests. */
export function describeImageTarget(name: string, under: TargetUnderTest): void {
  describe(`${name}: as every target`, () => {
    for (const algorithm of under.algorithms) {
      test(`gives back what was put, with ${algorithm}`, async () => {
        const { target, read } = await under.open();
        const image = await makeImage({ algorithm });
        await putImage(target, image);
        await target.close();
        const source = await read();
        const { descriptor, bytes } = await source.resolve();
        expect(Buffer.from(bytes).equals(image.manifest)).toBe(true);
        const { config, layers } = parseManifest(bytes, descriptor.mediaType);
        for (const blob of [config, ...layers]) {
          const content = await collect(source.openBlob(blob));
          expect(content.equals(image.blobs.get(blob.digest)!)).toBe(true);
        }
        await source.close();
      });
    }

    test("knows what it has", async () => {
      const { target } = await under.open();
      const image = await makeImage();
      const { layers } = parseManifest(image.manifest);
      const layer = layers[0]!;
      expect(await target.hasBlob(layer)).toBe(false);
      await target.putBlob(layer, pieces(image.blobs.get(layer.digest)!));
      expect(await target.hasBlob(layer)).toBe(true);
      await target.putBlob(layer, pieces(image.blobs.get(layer.digest)!));
      await target.discard?.();
    });

    test("takes several blobs at once", async () => {
      const { target, read } = await under.open();
      const image = await makeImage();
      const { config, layers, mediaType } = parseManifest(image.manifest);
      await Promise.all(
        [...layers, config].map((blob) =>
          target.putBlob(blob, pieces(image.blobs.get(blob.digest)!, 1000)),
        ),
      );
      await target.putManifest(image.manifest, mediaType, target.tag);
      await target.close();
      const source = await read();
      for (const blob of [config, ...layers]) {
        expect((await collect(source.openBlob(blob))).length).toBe(blob.size);
      }
      await source.close();
    });

    test("refuses another content than the descriptor's, and goes on", async () => {
      const { target, read } = await under.open();
      const image = await makeImage();
      const content = Buffer.alloc(300_000, "content");
      const blob = descriptorOf(content, MEDIA_TYPE.ociLayer);
      const wrong: [Descriptor, Uint8Array][] = [
        [blob, content.subarray(1)],
        [blob, Buffer.concat([content, content])],
        [{ ...blob, size: blob.size - 1 }, content],
        [{ ...blob, digest: ociDigestOf("x") }, content],
      ];
      for (const [descriptor, bytes] of wrong) {
        expect(await codeOf(target.putBlob(descriptor, pieces(bytes)))).toBe("content-mismatch");
        expect(await target.hasBlob(descriptor)).toBe(false);
      }
      await putImage(target, image);
      await target.close();
      const source = await read();
      expect(Buffer.from((await source.resolve()).bytes).equals(image.manifest)).toBe(true);
      await source.close();
    });

    test("passes on what its content throws", async () => {
      const { target } = await under.open();
      const error = new Error("broken source");
      const failing = async function* (): AsyncGenerator<Uint8Array, void> {
        yield Buffer.from("con");
        throw error;
      };
      const blob = descriptorOf("content", MEDIA_TYPE.ociLayer);
      await expect(target.putBlob(blob, failing())).rejects.toBe(error);
      expect(await target.hasBlob(blob)).toBe(false);
      await target.discard?.();
    });
  });
}
