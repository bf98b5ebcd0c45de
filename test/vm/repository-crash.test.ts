/**
 * Power cuts while a repository is filled that requires fs-verity, as crash.test.ts has them for a store: what
 * has a name is whole and enforced, and what was committed stays.
 */

import { join } from "node:path";
import { expect } from "vitest";
import { WriteLog, checkDisks, vmDescribe, vmTest } from "./harness/mod.ts";
import { mountDisks, writeFiles } from "./harness/store.ts";

const CUTS = { ext4: 12, btrfs: 8 } as const;
const DISK_SIZE = { ext4: "48M", btrfs: "128M" } as const;
/** Two for each transaction of test/vm/guest/fill-repository.mjs. */
const NAMES = 12;

/** What test/vm/guest/check-repository.mjs prints about a disk. */
interface Found {
  readonly names: number;
  readonly objects: number;
  readonly others: number;
  readonly problems: readonly string[];
  readonly again: number;
}

for (const format of ["ext4", "btrfs"] as const) {
  vmDescribe(`a repository on ${format}`, () => {
    vmTest(
      `survives ${CUTS[format]} power cuts, and keeps what was committed`,
      async (bench) => {
        const source = bench.disk("ext4", "16M", writeFiles(join(bench.directory, "files"), {}));
        const empty = bench.disk(format, DISK_SIZE[format]);
        const recorded = { path: bench.copyOf(empty), writes: join(bench.directory, "writes") };
        const machine = await bench.boot({ tier: "saved-state", disks: [source, recorded] });
        await mountDisks(machine);
        await machine.output("node /opt/fill-repository.mjs /b/repository", { timeout: 100_000 });
        await machine.powerCut();

        const log = new WriteLog(recorded.writes);
        const disks = Array.from({ length: CUTS[format] }, (_, number) => {
          const disk = join(bench.directory, `cut-${number}`);
          // The last one comes when everything is committed, and loses all that was not flushed.
          const isLast = number === CUTS[format] - 1;
          const moment = isLast ? log.length : Math.floor(Math.random() * (log.length + 1));
          log.cut(empty, disk, moment, () => !isLast && Math.random() < 0.5);
          return disk;
        });
        const found = await checkDisks<Found>(bench, {
          script: "check-repository.mjs",
          prepare: "modprobe virtio_blk",
          ...{ source, disks, format, limit: 400_000 },
        });

        expect(found.length).toBe(disks.length);
        for (const [number, state] of found.entries()) {
          expect(state.problems, `cut ${number}`).toEqual([]);
          expect(state.again, `cut ${number}`).toBe(NAMES);
        }
        expect(found.at(-1)!.names).toBe(NAMES);
        console.log(
          `${format}: ${disks.length} cuts in ${log.length} writes and flushes left ` +
            `${found.map(({ names }) => names).join(", ")} names, ` +
            `${found.reduce((sum, { others }) => sum + others, 0)} unfinished files`,
        );
      },
      500_000,
    );
  });
}
