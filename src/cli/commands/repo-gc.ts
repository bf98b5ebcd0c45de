/** `composefs repo gc`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { collectGarbage } from "../../store/gc/mod.ts";
import type { GcPlan } from "../../store/gc/mod.ts";
import { EXIT } from "../exit.ts";
import { interruptible } from "../interrupt.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { formatCount, formatSize } from "../output/progress.ts";
import { openRepository } from "../arguments/repository-options.ts";

/** Removes what nothing needs, or tells what that is. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const dryRun = invocation.has("dry-run");
  const repository = openRepository(invocation, io, { writable: !dryRun });
  try {
    const plan = await interruptible((signal) =>
      collectGarbage(repository, {
        dryRun,
        roots: invocation.values("root"),
        giveUpDamaged: invocation.has("give-up-damaged"),
        now: Date.now(),
        signal,
        onWait: () => io.err.text("Waiting for others who use the repository ...\n"),
      }),
    );
    if (invocation.has("json")) tellJson(plan, dryRun, io);
    else tell(plan, dryRun, io);
    return plan.damage.length > 0 ? EXIT.damaged : EXIT.ok;
  } finally {
    repository.close();
  }
}

function tell(plan: GcPlan, dryRun: boolean, io: Io): void {
  const { out, err } = io;
  if (dryRun) {
    for (const link of plan.links) out.text(`- ${displayText(link)}\n`);
    for (const digest of plan.objects) out.text(`- object ${digest}\n`);
    for (const path of [...plan.origins, ...plan.temporary]) out.text(`- ${displayText(path)}\n`);
  }
  const verb = dryRun ? "Would remove" : "Removed";
  const { streams, images } = plan.linkCount;
  out.text(
    `${verb} ${count(plan.objects.length, "object")} of ${formatSize(plan.bytes)}, ` +
      `${count(streams, "stream")}, ${count(images, "image")}, ` +
      `${count(plan.temporary.length, "unfinished file")}\n`,
  );
  out.text(`Kept ${count(plan.kept.objects, "object")} of ${formatSize(plan.kept.bytes)}\n`);
  for (const [digest, where] of plan.mounts.images) {
    out.text(`Kept image ${digest.slice(0, 12)}, which is mounted: ${where}\n`);
  }
  for (const where of plan.mounts.unidentified) {
    err.text(`warning: cannot tell which image is mounted on ${where}: all images stay\n`);
  }
  for (const { path, reason } of plan.strange) {
    err.text(`warning: left alone "${displayText(path)}": ${reason}\n`);
  }
  for (const { what, neededBy, reason } of plan.damage) {
    err.text(`error: cannot tell what ${neededBy} needs: ${what}: ${reason}\n`);
  }
  if (plan.damage.length > 0 && plan.held.objects > 0) {
    err.text(
      `hint: ${count(plan.held.objects, "object")} of ${formatSize(plan.held.bytes)} had to stay: ` +
        "repair with `composefs repo fsck --repair`, remove the names, or use --give-up-damaged\n",
    );
  }
}

function tellJson(plan: GcPlan, dryRun: boolean, io: Io): void {
  const json = {
    dryRun,
    objects: plan.objects.length,
    objectBytes: plan.bytes,
    streams: plan.linkCount.streams,
    images: plan.linkCount.images,
    links: plan.links.map(displayText),
    origins: plan.origins.map(displayText),
    temporary: plan.temporary.map(displayText),
    kept: plan.kept,
    held: plan.held,
    mounted: [...plan.mounts.images].map(([digest, where]) => ({ digest, where })),
    unidentifiedMounts: plan.mounts.unidentified,
    damage: plan.damage.map(({ what, digest, neededBy, reason }) => ({
      what,
      digest: digest ?? null,
      neededBy,
      reason,
    })),
    strange: plan.strange.map(({ path, reason }) => ({ path: displayText(path), reason })),
  };
  io.out.text(`${JSON.stringify(json)}\n`);
}

function count(number: number, what: string): string {
  return `${formatCount(number)} ${what}${number === 1 ? "" : "s"}`;
}
