/**
 * Tests with machines: `vmTest` gives a test a bench, on which it makes disks and boots machines, and clears
 * it up. When the test fails, the end of each machine's console is printed and everything is kept.
 */

import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { machineProblem } from "../../../scripts/vm-machine.mjs";
import { needsThat } from "../../support/needs.ts";
import { copyDisk, makeDisk } from "./disk.ts";
import type { DiskFormat } from "./disk.ts";
import { bootFirmware } from "./firmware.ts";
import type { Machine } from "./machine.ts";
import { restore, saveAgain } from "./saved-state.ts";
import type { Disk, SavedState } from "./saved-state.ts";
import { VM_CACHE } from "./setup.ts";
import type { StateName } from "./states.ts";

/** A machine that was saved with its disks: what many tests begin with. */
export interface SavedBench {
  readonly state: SavedState;
  readonly disks: readonly string[];
}

/** What to boot. Limits are milliseconds that the machine may run in all. */
export type BootRequest =
  | {
      readonly tier: "saved-state";
      /** `node` unless told. */
      readonly state?: StateName | SavedBench;
      /** In order, `/dev/vda` first. */
      readonly disks?: readonly Disk[];
      /** Nearly as long as a test may take unless told. */
      readonly limit?: number;
    }
  | {
      readonly tier: "loader" | "full";
      /** Changed by the machine. */
      readonly disk: string;
      readonly secureBoot?: boolean;
      /** A minute for the loader, three for all unless told. */
      readonly limit?: number;
    };

export class Bench {
  /** For files of the test; removed when it has passed. */
  readonly directory: string;
  readonly #name: string;
  readonly #machines: Machine[] = [];

  /** `name` becomes the name of a directory of logs. */
  constructor(name: string) {
    this.#name = name.replace(/[^A-Za-z0-9]+/g, "-").slice(0, 80);
    const logs = join(tmpdir(), `composefs-vm-${process.getuid?.()}`);
    mkdirSync(logs, { recursive: true });
    this.directory = mkdtempSync(join(logs, `${this.#name}-`));
  }

  /** A new disk like `makeDisk`'s: returns its path. */
  disk(format: DiskFormat, size: string, tree?: string): string {
    const path = this.#free("disk");
    makeDisk(path, format, size, tree);
    return path;
  }

  /** A disk of its own with the same content. */
  copyOf(disk: string): string {
    const path = this.#free("disk");
    copyDisk(disk, path);
    return path;
  }

  /** Boots a machine; it is off after the test. One of a saved state can take commands at once. */
  async boot(request: BootRequest): Promise<Machine> {
    const log = join(VM_CACHE, "logs", this.#name, `${this.#machines.length + 1}.log`);
    const machine =
      request.tier === "saved-state" ? await this.#restore(request, log) : this.#boot(request, log);
    this.#machines.push(machine);
    return machine;
  }

  /**
   * Lets a machine with these disks do something, and saves it for `boot` to go on from: a machine of the
   * `node` state, or of another saved bench. The disks belong to the new saved bench afterwards.
   */
  async save(
    disks: readonly string[],
    prepare: (machine: Machine) => Promise<void>,
    from?: SavedBench,
  ): Promise<SavedBench> {
    const log = join(VM_CACHE, "logs", this.#name, "saving.log");
    const target = this.#free("state");
    mkdirSync(target);
    const state = from?.state ?? states().node;
    return { state: await saveAgain({ state, disks, log }, target, prepare), disks };
  }

  /** Ends all machines. */
  async end(): Promise<void> {
    await Promise.all(this.#machines.map((machine) => machine.powerCut()));
  }

  /** Removes what the test made. */
  clear(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** What to print about a failure. */
  report(): string {
    const ends = this.#machines.map((machine) => machine.lastLines());
    return [...ends, `Disks and files are kept in ${this.directory}`].join("\n");
  }

  async #restore(
    request: Extract<BootRequest, { tier: "saved-state" }>,
    log: string,
  ): Promise<Machine> {
    const { state = "node", limit = 220_000 } = request;
    if (typeof state === "string") {
      return restore({ state: states()[state], disks: request.disks ?? [], log, limit });
    }
    // The saved machine has these disks open, with this content: each boot gets its own copies.
    const disks = request.disks ?? state.disks.map((disk) => this.copyOf(disk));
    return restore({ state: state.state, disks, log, limit });
  }

  #boot(request: Extract<BootRequest, { tier: "loader" | "full" }>, log: string): Machine {
    return bootFirmware({
      disk: request.disk,
      secureBoot: request.secureBoot ?? false,
      log,
      limit: request.limit ?? (request.tier === "loader" ? 60_000 : 180_000),
      variables: this.#free("variables"),
    });
  }

  #free(name: string): string {
    for (let number = 1; ; number += 1) {
      const path = join(this.directory, `${name}-${number}`);
      if (!existsSync(path)) return path;
    }
  }
}

const problem = machineProblem();
const conditional = needsThat(
  inject("savedStates") === undefined
    ? `virtual machines: ${problem ?? "run `npm run setup:vm` first"}`
    : undefined,
  problem === undefined,
);

/** A describe block that is skipped, with the reason, where machines cannot run. */
export const vmDescribe = conditional.describe;

/** A test on a bench of its own; skipped, with the reason, where machines cannot run. */
export function vmTest(
  name: string,
  body: (bench: Bench) => Promise<void>,
  timeout?: number,
): void {
  conditional.test(
    name,
    async ({ task }) => {
      const bench = new Bench(task.name);
      try {
        await body(bench);
      } catch (error) {
        console.error(bench.report());
        throw error;
      } finally {
        await bench.end();
      }
      bench.clear();
    },
    timeout,
  );
}

/** The saved state with this package in it. */
export function nodeState(): SavedState {
  return states().node;
}

function states(): Record<StateName, SavedState> {
  const found = inject("savedStates");
  if (found === undefined) throw new Error("the machine is not set up for VM tests");
  return found;
}
