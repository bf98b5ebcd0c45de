/** Counts of objects from several threads. */

import type { StagingStats } from "../../store/mod.ts";

/** Nothing counted. */
export function emptyStats(): StagingStats {
  return {
    copied: { objects: 0, bytes: 0 },
    reflinked: { objects: 0, bytes: 0 },
    hardlinked: { objects: 0, bytes: 0 },
    alreadyPresent: { objects: 0, bytes: 0 },
  };
}

/** The sum of some counts. */
export function sumStats(all: Iterable<StagingStats>): StagingStats {
  const sum = emptyStats();
  for (const stats of all) {
    for (const how of ["copied", "reflinked", "hardlinked", "alreadyPresent"] as const) {
      sum[how].objects += stats[how].objects;
      sum[how].bytes += stats[how].bytes;
    }
  }
  return sum;
}
