/** Disk images for the guest, made without mounting anything here, and how to damage them from outside. */

import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostTool } from "./setup.ts";

/** The file systems that have fs-verity; and what ext4 is without the feature. */
export type DiskFormat = "ext4" | "btrfs" | "ext4 without verity";

/** Makes a disk of a size like `64M`, whole, without partitions, holding a copy of a directory. */
export function makeDisk(path: string, format: DiskFormat, size: string, tree?: string): void {
  hostTool("truncate", ["-s", size, path]);
  switch (format) {
    case "btrfs": {
      const from = tree === undefined ? [] : ["--rootdir", tree];
      hostTool("mkfs.btrfs", ["--quiet", ...from, path]);
      break;
    }
    case "ext4":
      makeExt4(path, ["-O", "verity"], tree);
      break;
    case "ext4 without verity":
      makeExt4(path, [], tree);
      break;
  }
}

/** `-b 4096`: fs-verity works on the page size, and small file systems get smaller blocks by default. */
function makeExt4(path: string, options: readonly string[], tree: string | undefined): void {
  const from = tree === undefined ? [] : ["-d", tree];
  hostTool("mke2fs", ["-q", "-t", "ext4", "-b", "4096", ...options, ...from, path]);
}

/** A disk for the boot tiers: a GPT with an EFI system partition and an ext4 root, `vda1` and `vda2`. */
export interface BootDisk {
  /** What the EFI system partition holds: paths on it, and the files of this machine to copy there. */
  readonly esp: Readonly<Record<string, string>>;
  /** The root partition: a file system image of whole MiB to copy; none unless given. */
  readonly root?: string;
}

const MIB = 1024 * 1024;
/** MiB. */
const ESP_SIZE = 64;

export function makeBootDisk(path: string, disk: BootDisk): void {
  const work = mkdtempSync(join(tmpdir(), "composefs-disk-"));
  try {
    const esp = join(work, "esp");
    hostTool("truncate", ["-s", `${ESP_SIZE}M`, esp]);
    // One sector per cluster: else a small FAT32 has too few clusters, and firmware takes it for FAT16.
    hostTool("mkfs.vfat", ["-F", "32", "-s", "1", "-n", "ESP", esp]);
    const directories = new Set<string>();
    for (const target of Object.keys(disk.esp)) {
      const parts = target.split("/").slice(0, -1);
      parts.forEach((_, index) => directories.add(`::${parts.slice(0, index + 1).join("/")}`));
    }
    hostTool("mmd", ["-i", esp, ...directories]);
    for (const [target, source] of Object.entries(disk.esp)) {
      hostTool("mcopy", ["-i", esp, source, `::${target}`]);
    }
    const root = disk.root === undefined ? [] : [disk.root];
    joinPartitions(path, [esp, ...root], ["uefi", "linux"]);
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Replaces a file of the EFI system partition of a disk that {@link makeBootDisk} made. */
export function replaceOnEsp(disk: string, target: string, source: string): void {
  hostTool("mcopy", ["-o", "-i", `${disk}@@${MIB}`, source, `::${target}`]);
}

/** Makes a disk with a partition for each of these disks, of whole MiB, with the same content. */
export function makePartitionedDisk(path: string, disks: readonly string[]): void {
  joinPartitions(path, disks, []);
}

/** `types` are sfdisk's names, in order; Linux file systems unless given. */
function joinPartitions(path: string, disks: readonly string[], types: readonly string[]): void {
  const sizes = disks.map((disk) => statSync(disk).size / MIB);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  hostTool("truncate", ["-s", `${total + 2}M`, path]);
  const partitions = sizes.map(
    (size, index) => `size=${(size * MIB) / 512}, type=${types[index] ?? "linux"}`,
  );
  const table = ["label: gpt", "first-lba: 2048", ...partitions];
  hostTool("sfdisk", ["--quiet", path], Buffer.from(table.join("\n")));
  let offset = MIB;
  for (const [index, disk] of disks.entries()) {
    place(disk, path, offset);
    offset += sizes[index]! * MIB;
  }
}

/** Copies a partition into a disk that is empty there; what is zero stays a hole. */
function place(partition: string, disk: string, offset: number): void {
  const buffer = Buffer.alloc(MIB / 4);
  const zeros = Buffer.alloc(buffer.length);
  const from = openSync(partition, "r");
  const to = openSync(disk, "r+");
  try {
    for (let at = 0; ; at += buffer.length) {
      const size = readSync(from, buffer, 0, buffer.length, at);
      if (size === 0) return;
      const isZero = buffer.subarray(0, size).equals(zeros.subarray(0, size));
      if (!isZero) writeSync(to, buffer, 0, size, offset + at);
    }
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

/** Copies a disk; holes stay holes. */
export function copyDisk(from: string, to: string): void {
  hostTool("cp", ["--sparse=always", "--reflink=auto", "--", from, to]);
}

/**
 * Flips one bit of a disk image below the file system: in the first byte of the first place where it holds
 * `content`. Throws where it holds it nowhere.
 */
export function flipOnDisk(disk: string, content: Uint8Array): void {
  const at = findOnDisk(disk, content);
  if (at === undefined) throw new Error(`"${disk}" does not hold the content to flip`);
  const file = openSync(disk, "r+");
  try {
    writeSync(file, Uint8Array.of(content[0]! ^ 1), 0, 1, at);
  } finally {
    closeSync(file);
  }
}

function findOnDisk(disk: string, content: Uint8Array): number | undefined {
  const file = openSync(disk, "r");
  try {
    const buffer = Buffer.alloc(16 * MIB);
    for (let at = 0; ; at += buffer.length - content.length) {
      const size = readSync(file, buffer, 0, buffer.length, at);
      const found = buffer.subarray(0, size).indexOf(content);
      if (found >= 0) return at + found;
      if (size < buffer.length) return undefined;
    }
  } finally {
    closeSync(file);
  }
}
