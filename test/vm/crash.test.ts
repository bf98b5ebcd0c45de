/**
 * Power cuts while a store is filled. A machine's writes are recorded, and the disk is put together as a cut
 * at a random moment leaves it; a part of what was not flushed is lost, as a disk's own memory loses it.
 */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { checkDisks, vmDescribe, vmTest, WriteLog } from "./harness/mod.ts";
import type { Bench } from "./harness/mod.ts";
import { mountDisks, writeFiles } from "./harness/store.ts";

/** Fifty in all; btrfs, which takes three times as long, gets fewer of them. */
const CUTS = { ext4: 36, btrfs: 14 } as const;
const FILES = 24;
const NEAR_THE_END = 20;
const REAL_CUTS = 2;
const DISK_SIZE = { ext4: "48M", btrfs: "128M" } as const;

const INGEST = "mkcomposefs --print-digest --digest-store=/b/objects /a /b/image.cfs";

/** What test/vm/guest/check-store.mjs prints about a disk. */
interface Found {
  readonly objects: number;
  readonly others: number;
  readonly hasImage: boolean;
  readonly problems: readonly string[];
  readonly again: { readonly status: number; readonly output: string; readonly objects: number };
}

/** Files from 65 bytes to 70 kB. */
function sourceDisk(bench: Bench): string {
  const files: Record<string, number> = {};
  for (let number = 0; number < FILES; number += 1)
    files[`file-${number}`] = 65 + number ** 2 * 131;
  return bench.disk("ext4", "32M", writeFiles(join(bench.directory, "files"), files));
}

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function checkStores(
  bench: Bench,
  source: string,
  disks: readonly string[],
  format: string,
): Promise<Found[]> {
  return checkDisks<Found>(bench, {
    script: "check-store.mjs",
    prepare: "modprobe virtio_blk && mount -o ro /dev/vda /a",
    ...{ source, disks, format, limit: 200_000 },
  });
}

for (const format of ["ext4", "btrfs"] as const) {
  vmDescribe(`a store on ${format}`, () => {
    vmTest(`survives ${CUTS[format]} power cuts at random moments`, async (bench) => {
      const seed = Number(process.env["COMPOSEFS_TEST_SEED"] ?? Date.now() % 1_000_000);
      const random = randomNumbers(seed);
      const source = sourceDisk(bench);
      const empty = bench.disk(format, DISK_SIZE[format]);
      const recorded = { path: bench.copyOf(empty), writes: join(bench.directory, "writes") };

      const machine = await bench.boot({ tier: "saved-state", disks: [source, recorded] });
      await mountDisks(machine);
      const digest = await machine.output(INGEST);
      await machine.output("sync");
      await machine.powerCut();

      const log = new WriteLog(recorded.writes);
      const disks = Array.from({ length: CUTS[format] }, (_, number) => {
        const disk = join(bench.directory, `cut-${number}`);
        // Every third one near the end, where the image gets its name: few writes, but the ones that count.
        const from = number % 3 === 0 ? log.length - NEAR_THE_END : 0;
        const moment = from + Math.floor(random() * (log.length + 1 - from));
        log.cut(empty, disk, moment, () => random() < 0.5);
        return disk;
      });
      const found = await checkStores(bench, source, disks, format);

      expect(found.length).toBe(disks.length);
      for (const [number, state] of found.entries()) {
        const label = `cut ${number}, seed ${seed}`;
        expect(state.problems, label).toEqual([]);
        expect(state.again, label).toEqual({ status: 0, output: digest, objects: FILES });
      }
      const withImage = found.filter((state) => state.hasImage).length;
      console.log(
        `${format}, seed ${seed}: ${disks.length} cuts in ${log.length} writes and flushes left ` +
          `${Math.min(...found.map((state) => state.objects))} to ` +
          `${Math.max(...found.map((state) => state.objects))} objects, ` +
          `${found.reduce((sum, state) => sum + state.others, 0)} other files, ` +
          `${withImage} times the image`,
      );
    });

    vmTest(`survives the machine's own end, ${REAL_CUTS} times`, async (bench) => {
      const source = sourceDisk(bench);
      const empty = bench.disk(format, DISK_SIZE[format]);
      const disks: string[] = [];
      for (let number = 0; number < REAL_CUTS; number += 1) {
        const disk = bench.copyOf(empty);
        const machine = await bench.boot({ tier: "saved-state", disks: [source, disk] });
        await mountDisks(machine);
        const ingest = machine.run(INGEST).catch(() => undefined);
        await Promise.race([ingest, sleep(200 + Math.random() * 1800)]);
        await machine.powerCut();
        disks.push(disk);
      }
      for (const state of await checkStores(bench, source, disks, format)) {
        expect(state.problems).toEqual([]);
        expect(state.again).toMatchObject({ status: 0, objects: FILES });
      }
    });
  });
}
