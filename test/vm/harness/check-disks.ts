/** Looks at many disks in one machine: what a power cut at each of many moments left. */

import { join } from "node:path";
import type { Bench } from "./bench.ts";
import { makePartitionedDisk } from "./disk.ts";

/** Milliseconds between the end of a command and the end of its machine. */
const AIR = 20_000;

/**
 * Runs a script of test/vm/guest, which prints a line of JSON for each disk, and returns what they say. `source`
 * is `/dev/vda`; `prepare` runs before; `limit` is in milliseconds.
 */
export async function checkDisks<Found>(
  bench: Bench,
  request: {
    readonly script: string;
    readonly prepare: string;
    readonly source: string;
    readonly disks: readonly string[];
    readonly format: string;
    readonly limit: number;
  },
): Promise<Found[]> {
  const { script, prepare, source, disks, format, limit } = request;
  const together = join(bench.directory, "together");
  makePartitionedDisk(together, disks);
  const machine = await bench.boot({ tier: "saved-state", disks: [source, together], limit });
  await machine.output(prepare);
  const devices = disks.map((_, index) => `/dev/vdb${index + 1}`);
  const command = `node /opt/${script} ${format} ${devices.join(" ")}`;
  const printed = await machine.output(command, { timeout: limit - AIR });
  return printed.split("\n").map((line) => JSON.parse(line) as Found);
}
