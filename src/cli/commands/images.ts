/** `composefs images`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { formatPlatform } from "../../core/oci/platform.ts";
import { loadZstd } from "../../floor/mod.ts";
import { listOciImages } from "../../store/mod.ts";
import type { ListedImage } from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { writeJsonArray } from "../output/json.ts";
import { formatSize } from "../output/progress.ts";
import { openRepository } from "../arguments/repository-options.ts";
import { writeTable } from "../output/text-table.ts";

/** Lists images. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const zstd = await loadZstd();
  const repository = openRepository(invocation, io);
  try {
    const images = listOciImages(repository, zstd);
    if (invocation.has("json")) {
      writeJsonArray(io.out, images.map(describeImage));
    } else {
      tell(images, io);
    }
    return 0;
  } finally {
    repository.close();
  }
}

function describeImage(listed: ListedImage): object {
  const { name, manifestDigest, image, usage, damage, referrers } = listed;
  const config = image?.config;
  return {
    name: displayText(name),
    manifestDigest,
    kind: image === undefined ? null : config === undefined ? "artifact" : "image",
    damage: damage?.message ?? null,
    platform: config === undefined ? null : formatPlatform(config.platform),
    created: config?.created ?? null,
    layers: image?.layers.length ?? null,
    referrers,
    size: usage?.size ?? null,
    uniqueSize: usage?.uniqueSize ?? null,
    sharedSize: usage?.sharedSize ?? null,
    erofs: image === undefined ? null : Object.fromEntries(image.erofs),
  };
}

const SHORT_DIGEST = 12;

function tell(images: readonly ListedImage[], io: Io): void {
  if (images.length === 0) {
    io.out.text("No images\n");
    return;
  }
  const rows = images.map(({ name, manifestDigest, image, usage }) => {
    const digest = manifestDigest.slice(manifestDigest.indexOf(":") + 1).slice(0, SHORT_DIGEST);
    const start = [displayText(name), digest];
    if (image === undefined || usage === undefined) return [...start, "damaged", "", "", "", ""];
    const { config } = image;
    return [
      ...start,
      config === undefined ? "artifact" : formatPlatform(config.platform),
      String(image.layers.length),
      formatSize(usage.size),
      formatSize(usage.uniqueSize),
      formatSize(usage.sharedSize),
    ];
  });
  const head = ["NAME", "DIGEST", "PLATFORM", "LAYERS", "SIZE", "UNIQUE", "SHARED"];
  writeTable(io.out, head, rows, { right: [3, 4, 5, 6] });
  for (const { name, damage } of images) {
    if (damage !== undefined) io.err.text(`${displayText(name)}: ${damage.message}\n`);
  }
}
