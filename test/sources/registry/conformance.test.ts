/** A registry as a source and as a target: what every source and every target promises. */

import { writeFileSync } from "node:fs";
import { beforeAll } from "vitest";
import { ociDigestHex } from "#src/core/mod.ts";
import type { Descriptor } from "#src/core/mod.ts";
import { openImageSource, openImageTarget } from "#src/sources/mod.ts";
import type { ImageSource, ImageTarget } from "#src/sources/mod.ts";
import { describeImageSource } from "../../suites/image-source.ts";
import { describeImageTarget, putImage } from "../../suites/image-target.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import type { RunningRegistry } from "../../support/docker-registry.ts";
import { needs } from "../../support/needs.ts";
import type { TestImage } from "../../support/oci-image.ts";

const OPTIONS = { registry: { insecure: true } };

needs("docker-registry").describe("docker://", () => {
  let registry: RunningRegistry;
  let repositories = 0;

  beforeAll(async () => {
    registry = await startRegistry();
  });

  interface Place {
    readonly target: ImageTarget;
    readonly read: () => Promise<ImageSource>;
  }

  async function open(): Promise<Place> {
    const name = `docker://${registry.host}/some/name${++repositories}`;
    const target = await openImageTarget(name, OPTIONS);
    return { target, read: () => openImageSource(name, OPTIONS) };
  }

  describeImageTarget("docker:", { open, algorithms: ["sha256", "sha512"] });

  describeImageSource("docker:", {
    keepsBytes: true,
    open: async (image) => {
      const { target, read } = await open();
      await putImage(target, image);
      await target.close();
      return await read();
    },
    damage,
  });

  function damage(image: TestImage, { digest }: Descriptor): void {
    const hex = ociDigestHex(digest);
    const path = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    const bytes = Buffer.from(image.blobs.get(digest)!);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(`${registry.storage}/${path}`, bytes);
  }
});
