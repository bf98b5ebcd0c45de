/** `cfsctl fsck`. */

import { ComposefsError } from "../../../core/errors.ts";
import { loadZstd } from "../../../floor/mod.ts";
import { interruptible } from "../../interrupt.ts";
import { checkAsCfsctl } from "./fsck-check.ts";
import type { FsckResult } from "./fsck-check.ts";
import { printJson } from "./json.ts";
import { withRepository } from "./repository.ts";
import type { CfsctlCall } from "./settings.ts";

/** Checks a repository. As JSON, what is found is no failure. */
export function fsck({ settings, invocation, io }: CfsctlCall): Promise<number> {
  return withRepository(settings, (repository) =>
    interruptible(async (signal) => {
      const zstd = await loadZstd();
      const metadataOnly = invocation.has("metadata-only");
      const result = await checkAsCfsctl(repository, zstd, { metadataOnly, signal });
      if (invocation.has("json")) {
        printJson(io.out, fsckJson(result));
        return 0;
      }
      io.out.text(fsckText(result));
      if (result.errors.length === 0) return 0;
      throw new ComposefsError("object-corrupt", "The repository is damaged");
    }),
  );
}

/** The keys are those of composefs-rs. */
export function fsckJson(result: FsckResult): object {
  const { objects, streams, images } = result;
  return {
    ok: result.errors.length === 0,
    has_metadata: result.hasMetadata,
    objects_checked: objects.checked,
    objects_corrupted: objects.corrupted,
    streams_checked: streams.checked,
    streams_corrupted: streams.corrupted,
    images_checked: images.checked,
    images_corrupted: images.corrupted,
    broken_links: result.brokenLinks,
    missing_objects: result.missingObjects,
    errors: result.errors,
  };
}

/** A line for each kind of thing, then one for each error. */
export function fsckText(result: FsckResult): string {
  const { errors, brokenLinks, missingObjects } = result;
  const isMetadataBad = errors.some((error) => error.startsWith("fsck: metadata-"));
  const metadata = isMetadataBad ? "error" : result.hasMetadata ? "ok" : "absent";
  const lines = [`meta.json: ${metadata}`];
  for (const kind of ["objects", "streams", "images"] as const) {
    const { checked, corrupted } = result[kind];
    lines.push(`${kind}: ${Math.max(0, checked - corrupted)}/${checked} ok`);
  }
  if (brokenLinks > 0) lines.push(`broken symlinks: ${brokenLinks}`);
  if (missingObjects > 0) lines.push(`missing objects: ${missingObjects}`);
  lines.push(errors.length === 0 ? "status: ok" : `status: ${errors.length} error(s)`);
  for (const error of errors) lines.push(`  - ${error}`);
  return `${lines.join("\n")}\n`;
}
