/** The image that most tests of registries push by skopeo, and how they take it. */

import { expect } from "vitest";
import { parseManifest } from "#src/mod.ts";
import type { Descriptor, RegistrySource } from "#src/mod.ts";
import { LayoutWriter, pattern } from "../../support/images.ts";
import { skopeoCopy } from "../../support/skopeo.ts";
import { tempDir } from "../../support/temp.ts";

/** An image of one layer, with the tag `one` in a layout. */
export class SampleImage {
  readonly layout: LayoutWriter;
  readonly manifest: Descriptor;
  readonly layer: Descriptor;
  /** The blob of the layer. */
  readonly content: Buffer;
  readonly #directory = tempDir();

  /** The layer has `size` bytes without compression. */
  constructor(size: number) {
    this.layout = new LayoutWriter(this.#directory);
    this.manifest = this.layout.image([pattern(size)]);
    this.layout.tag(this.manifest, "one");
    [this.layer] = parseManifest(this.layout.read(this.manifest)).layers as [Descriptor];
    this.content = this.layout.read(this.layer);
  }

  /** Pushes it to a registry, whatever its certificate; `options` are skopeo's. */
  push(host: string, name = "some/name", ...options: string[]): void {
    const to = `docker://${host}/${name}:one`;
    skopeoCopy(`oci:${this.#directory}:one`, to, "--dest-tls-verify=false", ...options);
  }

  /** Takes manifest and layer, and closes the source: `arrives`, or code and words of the error. */
  async takeFrom(source: RegistrySource): Promise<string> {
    try {
      const { descriptor } = await source.resolve();
      expect(descriptor.digest).toBe(this.manifest.digest);
      const pieces: Uint8Array[] = [];
      for await (const piece of source.openBlob(this.layer)) pieces.push(piece);
      expect(Buffer.concat(pieces).equals(this.content)).toBe(true);
      return "arrives";
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      return `${code}: ${message}`;
    } finally {
      await source.close();
    }
  }
}
