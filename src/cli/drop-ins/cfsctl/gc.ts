/** `cfsctl gc`. */

import { statSync } from "node:fs";

import { displayText } from "../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../core/errors.ts";
import { collectGarbage } from "../../../store/gc/mod.ts";
import type { GcPlan } from "../../../store/gc/mod.ts";
import type { Repository } from "../../../store/mod.ts";
import { interruptible } from "../../interrupt.ts";
import type { Io } from "../../output/io.ts";
import { withRepository } from "./repository.ts";
import type { CfsctlCall } from "./settings.ts";

/** Removes what nothing needs. What is damaged is told when all that can go is gone. */
export function gc({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const dryRun = invocation.has("dry-run");
  return withRepository(settings, (repository) =>
    interruptible(async (signal) => {
      const roots = knownRoots(repository, invocation.values("root"), io);
      const plan = await collectGarbage(repository, { dryRun, roots, now: Date.now(), signal });
      for (const { path, reason } of plan.strange) {
        io.err.text(`cfsctl: left alone "${displayText(path)}": ${reason}\n`);
      }
      const [damage] = plan.damage;
      if (damage !== undefined) {
        throw new ComposefsError(
          "object-corrupt",
          `Cannot tell what ${damage.neededBy} needs: ${damage.what}: ${damage.reason}`,
          { hint: "`cfsctl fsck` shows what is damaged; remove the name, or get it again" },
        );
      }
      const { images, streams } = dryRun ? countDeadLinks(repository, plan) : plan.linkCount;
      if (dryRun) io.out.text("Dry run (no files deleted):\n");
      io.out.text(`Objects: ${plan.objects.length} removed (${plan.bytes} bytes)\n`);
      if (images > 0 || streams > 0) {
        io.out.text(`Pruned symlinks: ${images} images, ${streams} streams\n`);
      }
      return 0;
    }),
  );
}

/** composefs-rs's passes over roots that are not there. */
function knownRoots(repository: Repository, names: readonly ByteString[], io: Io): ByteString[] {
  if (names.length === 0) return [];
  const known = new Set<string>([...repository.listStreams(), ...repository.listImages()]);
  return names.filter((name) => {
    if (known.has(name)) return true;
    io.err.text(`cfsctl: no image and no stream is called "${displayText(name)}"\n`);
    return false;
  });
}

/** A dry run of composefs-rs's counts the links that lead to nothing by now, not those that will. */
function countDeadLinks(
  repository: Repository,
  plan: GcPlan,
): { readonly images: number; readonly streams: number } {
  const dead = plan.links.filter((link) => {
    const path = Buffer.from(`${repository.path}/${link}`, "latin1");
    return statSync(path, { throwIfNoEntry: false }) === undefined;
  });
  const images = dead.filter((link) => link.startsWith("images/")).length;
  return { images, streams: dead.length - images };
}
