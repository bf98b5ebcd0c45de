/**
 * The tier for most tests: a machine that booted once, was saved with its file systems loaded and its disks
 * untouched, and is restored in a tenth of a second with any disks.
 *
 * Its memory is a file that the restored machine maps as its private copy: nothing is read at the start, and
 * machines can run beside each other.
 */

import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { copyDisk } from "./disk.ts";
import { Machine } from "./machine.ts";
import { firmwareDirectories, setUp, VM_CACHE } from "./setup.ts";

/** Disks that a machine has; those that a test does not give are empty. */
const DISKS = 2;
const MEMORY = "1G";

/** A saved machine: a directory with `memory` and `devices`. */
export type SavedState = string;

/** A disk image that the machine changes, and optionally a file where all writes to it are recorded. */
export type Disk = string | { readonly path: string; readonly writes: string };

/** How to restore a machine. */
export interface RestoreRequest {
  readonly state: SavedState;
  /** In order, `/dev/vda` first. */
  readonly disks?: readonly Disk[];
  readonly log: string;
  /** Milliseconds that the machine may run in all; two minutes unless told. */
  readonly limit?: number;
}

/**
 * Boots a machine from an initramfs archive, saves it in the cache, and returns the state; nothing to do when
 * it is there, for the same archive, kernel and QEMU.
 */
export async function savedState(name: string, initramfs: string): Promise<SavedState> {
  const { kernel, tools } = setUp();
  const hash = createHash("sha256").update(JSON.stringify([kernel, tools, hardware("", "on", [])]));
  const key = hash.update(readFileSync(initramfs)).digest("hex").slice(0, 16);
  const state = join(VM_CACHE, `state-${name}-${key}`);
  if (existsSync(state)) {
    utimesSync(state, new Date(), new Date());
    return state;
  }
  forgetOld(`state-${name}-`);
  const work = mkdtempSync(join(VM_CACHE, "making-state-"));
  try {
    const machine = new Machine({
      log: join(VM_CACHE, "logs", `saving-${name}.log`),
      args: [
        hardware(join(work, "memory"), "on", []),
        ["-kernel", join(kernel, "vmlinux"), "-initrd", initramfs],
        ["-append", "console=ttyS0 panic=-1 loglevel=5"],
      ].flat(),
      limit: 120_000,
    });
    try {
      await machine.ready();
      await machine.save(join(work, "devices"));
    } finally {
      await machine.powerCut();
    }
    // Another test process may have been quicker.
    if (!existsSync(state)) renameSync(work, state);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return state;
}

/** Removes what the cache has under such names and no run has used for an hour: each is some 300 MB. */
export function forgetOld(prefix: string): void {
  for (const entry of readdirSync(VM_CACHE)) {
    const path = join(VM_CACHE, entry);
    if (entry.startsWith(prefix) && statSync(path).mtimeMs < Date.now() - 3600 * 1000) {
      rmSync(path, { recursive: true });
    }
  }
}

/** Restores a saved machine: it can take commands at once. */
export async function restore(request: RestoreRequest): Promise<Machine> {
  return start(request, join(request.state, "memory"), "off");
}

/**
 * Restores a saved machine, lets it do something, and saves it again, with its disks as they are then, into
 * the empty directory `target`. What many tests begin with is so done once.
 */
export async function saveAgain(
  request: RestoreRequest,
  target: string,
  prepare: (machine: Machine) => Promise<void>,
): Promise<SavedState> {
  const memory = join(target, "memory");
  copyDisk(join(request.state, "memory"), memory);
  const machine = await start(request, memory, "on");
  try {
    await prepare(machine);
    await machine.save(join(target, "devices"));
  } finally {
    await machine.powerCut();
  }
  return target;
}

async function start(
  request: RestoreRequest,
  memory: string,
  share: "on" | "off",
): Promise<Machine> {
  const machine = new Machine({
    log: request.log,
    args: [...hardware(memory, share, request.disks ?? []), "-incoming", "defer"],
    limit: request.limit ?? 120_000,
  });
  try {
    await machine.restore(join(request.state, "devices"));
    return machine;
  } catch (error) {
    await machine.powerCut();
    throw error;
  }
}

/** The hardware, the same for saving and restoring. */
function hardware(memory: string, share: "on" | "off", disks: readonly Disk[]): string[] {
  const backends = Array.from({ length: DISKS }, (_, index) =>
    backend(`disk${index}`, disks[index]),
  );
  const ram = `memory-backend-file,id=ram,size=${MEMORY},mem-path=${memory},share=${share}`;
  return [
    firmwareDirectories(),
    ["-machine", "q35,memory-backend=ram", "-smp", "1", "-m", MEMORY, "-object", ram],
    backends.flatMap((options) => ["-blockdev", options]),
    backends.flatMap((_, index) => ["-device", `virtio-blk-pci,drive=disk${index}`]),
  ].flat();
}

/** `no-flush`: a power cut of the machine is none of this one, whose memory keeps what was written. */
function backend(name: string, disk: Disk | undefined): string {
  if (disk === undefined) return `driver=null-co,node-name=${name},size=1048576,read-zeroes=on`;
  if (typeof disk === "string") {
    return `driver=raw,node-name=${name},cache.no-flush=on,file.driver=file,file.filename=${disk}`;
  }
  const { path, writes } = disk;
  closeSync(openSync(writes, "w"));
  return [
    // Flushes are recorded too, so it is the files below that do without.
    `driver=blklogwrites,node-name=${name}`,
    `file.driver=file,file.cache.no-flush=on,file.filename=${path}`,
    `log.driver=file,log.cache.no-flush=on,log.filename=${writes}`,
  ].join(",");
}
