/** `composefs rm`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import {
  listReferrers,
  listTags,
  removeReferrers,
  resolveReference,
  untagImage,
} from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { openRepository } from "../arguments/repository-options.ts";

/** Removes images. */
export function run(invocation: Invocation, io: Io): number {
  const dryRun = invocation.has("dry-run");
  const repository = openRepository(invocation, io, { writable: true });
  try {
    // All names are looked up before the first is removed.
    const images = new Set(invocation.operands.map((name) => resolveReference(repository, name)));
    const tags = listTags(repository).filter((tag) => images.has(tag.manifestDigest));
    const referrers = [...images].flatMap((digest) => listReferrers(repository, digest));
    if (!dryRun) {
      for (const { name } of tags) untagImage(repository, name);
      for (const digest of images) removeReferrers(repository, digest);
    }
    const untagged = tags.map(({ name }) => displayText(name));
    if (invocation.has("json")) {
      const json = { untagged, manifestDigests: [...images], referrers, dryRun };
      io.out.text(`${JSON.stringify(json)}\n`);
      return 0;
    }
    const verb = dryRun ? "Would remove" : "Removed";
    for (const tag of untagged) io.out.text(`${verb} tag ${tag}\n`);
    for (const digest of referrers) io.out.text(`${verb} referrer ${digest}\n`);
    if (!dryRun) io.out.text("`composefs repo gc` frees what no image needs any more\n");
    return 0;
  } finally {
    repository.close();
  }
}
