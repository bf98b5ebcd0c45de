/** Garbage collection as a whole: lock, plan, execute. */

import { setTimeout as delay } from "node:timers/promises";

import { displayText } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { flock } from "../../floor/mod.ts";
import { compactContentIndex } from "../content-index/mod.ts";
import type { RepositoryFiles } from "../survey/repository-files.ts";
import { executeGc } from "./execute.ts";
import { planGc } from "./plan.ts";
import type { GcOptions, GcPlan } from "./plan.ts";

/** Options of {@link collectGarbage}. */
export interface CollectOptions extends GcOptions {
  /** Only make the plan, beside whoever works in the repository. */
  readonly dryRun?: boolean;
  /** How long to wait for others to end; without end unless given. */
  readonly waitMilliseconds?: number;
  /** Hears once that others have to end first. */
  readonly onWait?: () => void;
  readonly onProgress?: (removed: number, total: number) => void;
}

/** A wait that nobody notices after a pull, and that costs nothing. */
const POLL_MILLISECONDS = 50;

/**
 * Removes what nothing needs, and returns the plan that was executed. Nobody else may have the
 * repository open meanwhile: this waits for them, and throws `repository-busy` if it takes too long.
 * The lock that `repository` holds is a shared one again afterwards.
 */
export async function collectGarbage(
  repository: RepositoryFiles,
  options: CollectOptions,
): Promise<GcPlan> {
  if (options.dryRun === true) return planGc(repository, options);
  try {
    await lockExclusively(repository, options);
    const plan = await planGc(repository, options);
    const { signal, onProgress } = options;
    await executeGc(repository, plan, {
      ...(signal === undefined ? {} : { signal }),
      onProgress: (removed) => onProgress?.(removed, plan.objects.length),
    });
    // Entries of objects that are gone do no harm, but they should not become most of the index.
    if (plan.objects.length > plan.kept.objects / 4) {
      await compactContentIndex(repository, signal === undefined ? {} : { signal });
    }
    return plan;
  } finally {
    flock(repository.dirfd, "shared", { wait: true });
  }
}

/** Changing a lock drops the old one first: two that wait for each other's shared lock both go on. */
async function lockExclusively(
  repository: RepositoryFiles,
  { signal, waitMilliseconds = Number.POSITIVE_INFINITY, onWait }: CollectOptions,
): Promise<void> {
  if (flock(repository.dirfd, "exclusive", { wait: false })) return;
  onWait?.();
  // A flock(2) that blocks cannot be taken back, in whatever thread: see decision 0053.
  for (let waited = 0; waited < waitMilliseconds; waited += POLL_MILLISECONDS) {
    await delay(POLL_MILLISECONDS, undefined, signal === undefined ? {} : { signal });
    if (flock(repository.dirfd, "exclusive", { wait: false })) return;
  }
  throw new ComposefsError(
    "repository-busy",
    `Cannot collect garbage in "${displayText(repository.path)}": others are working in it`,
    { hint: "Wait until they are done, or look what would go with --dry-run" },
  );
}
