/** A registry as a source: what every source promises, and what our target stored there. */

import { writeFileSync } from "node:fs";
import { beforeAll } from "vitest";
import { ociDigestHex, parseManifest } from "#src/core/mod.ts";
import type { Descriptor } from "#src/core/mod.ts";
import { openImageSource, openRegistryTarget } from "#src/sources/mod.ts";
import { describeImageSource } from "../../suites/image-source.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import type { RunningRegistry } from "../../support/docker-registry.ts";
import { needs } from "../../support/needs.ts";
import type { TestImage } from "../../support/oci-image.ts";

needs("docker-registry").describe("docker://", () => {
  let registry: RunningRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
  });

  async function store(image: TestImage): Promise<string> {
    const name = `${registry.host}/conformance:one`;
    const target = openRegistryTarget(name, { insecure: true });
    const { config, layers, mediaType } = parseManifest(image.manifest);
    for (const blob of [config, ...layers]) {
      await target.putBlob(blob, piecesOf(image.blobs.get(blob.digest)!));
    }
    await target.putManifest(image.manifest, mediaType, "one");
    await target.close();
    return name;
  }

  describeImageSource("docker:", {
    keepsBytes: true,
    open: async (image) =>
      await openImageSource(`docker://${await store(image)}`, { registry: { insecure: true } }),
    damage: (image, descriptor) => damage(image, descriptor),
  });

  function damage(image: TestImage, { digest }: Descriptor): void {
    const hex = ociDigestHex(digest);
    const path = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    const bytes = Buffer.from(image.blobs.get(digest)!);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(`${registry.storage}/${path}`, bytes);
  }
});

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
  await Promise.resolve();
}
