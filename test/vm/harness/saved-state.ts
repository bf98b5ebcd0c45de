/**
 * The tier for most tests: a machine that booted once, was saved with its file systems loaded and its disks
 * untouched, and is restored in a tenth of a second with any disks.
 *
 * Its memory is a file that the restored machine maps as its private copy: nothing is read at the start, and
 * machines can run beside each other.
 */

import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { copySparse } from "./initramfs.ts";
import { Machine } from "./machine.ts";
import { setUp, VM_CACHE } from "./setup.ts";

/** Disks that a machine has; those that a test does not give are empty. */
const DISKS = 2;
const MEMORY = "1G";

/** A saved machine: a directory with `memory` and `devices`. */
export type SavedState = string;

/** How to restore a machine. */
export interface RestoreRequest {
  readonly state: SavedState;
  /** Disk images in order, `/dev/vda` first, changed by the machine. */
  readonly disks?: readonly string[];
  readonly log: string;
  /** Milliseconds that the machine may run in all; a minute unless told. */
  readonly limit?: number;
}

/** Makes a state in the cache unless it is there, and returns it. `initramfs` makes the archive at a path. */
export async function savedState(
  name: string,
  initramfs: (path: string) => void,
): Promise<SavedState> {
  const state = join(VM_CACHE, name);
  if (existsSync(state)) return state;
  const work = mkdtempSync(join(VM_CACHE, "making-state-"));
  try {
    initramfs(join(work, "initramfs"));
    const machine = new Machine({
      log: join(VM_CACHE, "logs", `${name}.log`),
      args: [
        ...hardware(join(work, "memory"), "on", []),
        ...["-kernel", join(setUp().kernel, "vmlinux"), "-initrd", join(work, "initramfs")],
        ...["-append", "console=ttyS0 panic=-1 quiet"],
      ],
      limit: 60_000,
    });
    try {
      await machine.ready();
      await machine.control.save(join(work, "devices"));
    } finally {
      await machine.powerCut();
    }
    rmSync(join(work, "initramfs"));
    if (!existsSync(state)) renameSync(work, state);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return state;
}

/** Restores a saved machine: it can take commands at once. */
export async function restore(request: RestoreRequest): Promise<Machine> {
  const machine = new Machine({
    log: request.log,
    args: [
      ...hardware(join(request.state, "memory"), "off", request.disks ?? []),
      ...["-incoming", "defer"],
    ],
    limit: request.limit ?? 60_000,
  });
  await machine.control.restore(join(request.state, "devices"));
  return machine;
}

/** The hardware, the same for saving and restoring. */
function hardware(memory: string, share: "on" | "off", disks: readonly string[]): string[] {
  const { tools } = setUp();
  const backends = Array.from({ length: DISKS }, (_, index) => {
    const path = disks[index];
    return path === undefined
      ? `driver=null-co,node-name=disk${index},size=1048576,read-zeroes=on`
      : `driver=raw,node-name=disk${index},cache.no-flush=on,file.driver=file,file.filename=${path}`;
  });
  return [
    ...["-L", join(tools, "usr/share/qemu"), "-L", join(tools, "usr/share/seabios")],
    ...["-machine", "q35,memory-backend=ram", "-smp", "1", "-m", MEMORY],
    ...["-object", `memory-backend-file,id=ram,size=${MEMORY},mem-path=${memory},share=${share}`],
    ...backends.flatMap((backend, index) => [
      ...["-blockdev", backend],
      ...["-device", `virtio-blk-pci,drive=disk${index}`],
    ]),
  ];
}
