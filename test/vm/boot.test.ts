/**
 * The whole chain: firmware, boot loader, kernel, initramfs, and Debian from one of our images as the root
 * file system; then the same with one byte changed in each link, and who refuses it.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import {
  Bench,
  bootParts,
  flipOnDisk,
  makeBootDisk,
  makeUki,
  nodeState,
  replaceOnEsp,
  setUp,
  vmDescribe,
  vmTest,
} from "./harness/mod.ts";
import type { BootParts } from "./harness/mod.ts";

/** What systemd-boot shows when the firmware does not start what it has chosen. */
const REFUSED = /Error loading \\EFI\\Linux\\debian.efi: Access denied.*\n/;
const ENTRY = "loader/entries/debian.conf";
/** Level 6 leaves out most of what the kernel says while it boots: each character costs an exit. */
const OPTIONS = "console=ttyS0 panic=-1 loglevel=6 systemd.show_status=false";
const COMMAND_LINE = /[Cc]ommand line: .*\n/;

vmDescribe("Debian from a composefs image", () => {
  let shared: Bench;
  let parts: BootParts;
  let signedUki: Uint8Array;
  /** systemd-boot with an entry that names the image. */
  let entryDisk: string;
  /** The signed boot loader and one unified kernel image. */
  let ukiDisk: string;

  const refusals: string[] = [];

  beforeAll(async () => {
    shared = new Bench("boot");
    parts = await bootParts(nodeState());
    const file = (name: string): string => join(shared.directory, name);
    writeFileSync(file("loader.conf"), "timeout 0\n");
    writeFileSync(file("debian.conf"), entry(parts.digest));
    entryDisk = file("entry-disk");
    makeBootDisk(entryDisk, {
      root: parts.root,
      esp: {
        "EFI/BOOT/BOOTX64.EFI": join(setUp().firmware, "loader.efi"),
        "loader/loader.conf": file("loader.conf"),
        [ENTRY]: file("debian.conf"),
        "debian/linux": join(setUp().kernel, "vmlinuz"),
        "debian/initrd": parts.initramfs,
      },
    });
    const uki = file("debian.efi");
    const { initramfs, digest } = parts;
    makeUki(uki, { initramfs, commandLine: `${OPTIONS} composefs=${digest}`, key: "db" });
    signedUki = readFileSync(uki);
    ukiDisk = file("uki-disk");
    makeBootDisk(ukiDisk, { root: parts.root, esp: ukiEsp(uki) });
  });

  afterAll(() => {
    shared.clear();
    if (refusals.length > 0) console.log(["Who refuses what:", ...refusals].join("\n"));
  });

  vmTest("boots with composefs= in a boot loader entry", async (bench) => {
    const machine = await bench.boot({ tier: "full", disk: bench.copyOf(entryDisk) });
    await machine.expect(`initramfs: mounted ${parts.digest}`);
    await machine.ready();
    const root = await machine.output("grep ' / ' /proc/mounts");
    expect(root).toMatch(/^composefs \/ overlay ro,.*verity=require/);
    expect(await machine.output("cat /proc/1/comm")).toBe("systemd");
    expect(await machine.run("touch /usr/new")).toEqual({
      status: 1,
      output: "touch: cannot touch '/usr/new': Read-only file system",
    });
    await machine.output("touch /etc/new /var/new");
  });

  vmTest("boots under Secure Boot with composefs= in a signed UKI", async (bench) => {
    const disk = bench.copyOf(ukiDisk);
    const machine = await bench.boot({ tier: "full", disk, secureBoot: true });
    await machine.expect("UEFI Secure Boot is enabled");
    await machine.expect(`initramfs: mounted ${parts.digest}`);
    await machine.ready();
    expect(await machine.output("grep ' / ' /proc/mounts")).toContain("verity=require");
  });

  vmTest("the boot loader hands the entry's options to the kernel", async (bench) => {
    const machine = await bench.boot({ tier: "loader", disk: bench.copyOf(entryDisk) });
    const line = await machine.expect(COMMAND_LINE);
    expect(line).toContain(`${OPTIONS} composefs=${parts.digest}`);
  });

  vmTest("a changed object: the kernel refuses to read it", async (bench) => {
    const disk = bench.copyOf(entryDisk);
    const systemd = readFileSync(join(setUp().userspace, "usr/lib/systemd/systemd"));
    // The first program of the new root: nothing starts without it.
    flipOnDisk(disk, systemd.subarray(0, 4096));
    const machine = await bench.boot({ tier: "full", disk });
    await machine.expect(`initramfs: mounted ${parts.digest}`);
    const kernel = await machine.expect(/fs-verity .* FILE CORRUPTED!.*\n/);
    const init = await machine.expect(/Attempted to kill init.*\n/);
    refusals.push(`a changed object: ${lastLine(kernel)}${lastLine(init)}`);
  });

  vmTest("a changed image: the kernel refuses to read it, and it is not mounted", async (bench) => {
    const disk = bench.copyOf(entryDisk);
    flipOnDisk(disk, parts.image.subarray(0, 4096));
    const machine = await bench.boot({ tier: "full", disk });
    const kernel = await machine.expect(/fs-verity .* FILE CORRUPTED!.*\n/);
    const ours = await machine.expect(/mount.composefs: .*\n/);
    await machine.expect("initramfs: refused: cannot mount the image");
    refusals.push(`a changed image: ${lastLine(kernel)}${lastLine(ours)}`);
  });

  vmTest("another image than the command line names: mount.composefs refuses it", async (bench) => {
    const disk = bench.copyOf(entryDisk);
    const changed = join(bench.directory, "debian.conf");
    writeFileSync(changed, entry("0".repeat(64)));
    replaceOnEsp(disk, ENTRY, changed);
    const machine = await bench.boot({ tier: "full", disk });
    const ours = await machine.expect(/mount.composefs: .*\n/);
    await machine.expect("initramfs: refused: cannot mount the image");
    refusals.push(`another digest in the boot loader entry: ${lastLine(ours)}`);
  });

  vmTest("a changed command line in the UKI: the firmware refuses it", async (bench) => {
    const disk = bench.copyOf(ukiDisk);
    flipOnDisk(disk, Buffer.from(parts.digest));
    const machine = await bench.boot({ tier: "loader", disk, secureBoot: true });
    const shown = await machine.expect(REFUSED);
    refusals.push(`a changed command line in the UKI: ${lastLine(shown)}`);
    await machine.powerCut();

    // It is the signature that is missed: without Secure Boot the same disk starts the kernel.
    const careless = await bench.boot({ tier: "loader", disk });
    const line = await careless.expect(COMMAND_LINE);
    expect(line).toContain("composefs=");
    expect(line).not.toContain(parts.digest);
  });

  vmTest("a changed signature of the UKI: the firmware refuses it", async (bench) => {
    const disk = bench.copyOf(ukiDisk);
    // The signature's number is the last thing in the file, before some padding.
    flipOnDisk(disk, signedUki.subarray(-64));
    const machine = await bench.boot({ tier: "loader", disk, secureBoot: true });
    const shown = await machine.expect(REFUSED);
    refusals.push(`a changed signature of the UKI: ${lastLine(shown)}`);
  });

  vmTest("a UKI signed with another key: the firmware refuses it", async (bench) => {
    const uki = join(bench.directory, "debian.efi");
    // Any file does for an initramfs: it is not started.
    makeUki(uki, {
      initramfs: join(setUp().kernel, "release"),
      commandLine: OPTIONS,
      key: "stranger",
    });
    const disk = join(bench.directory, "disk");
    makeBootDisk(disk, { esp: ukiEsp(uki) });
    const machine = await bench.boot({ tier: "loader", disk, secureBoot: true });
    const shown = await machine.expect(REFUSED);
    refusals.push(`a UKI signed with another key: ${lastLine(shown)}`);
  });
});

function entry(digest: string): string {
  const lines = [
    "title Debian",
    "linux /debian/linux",
    "initrd /debian/initrd",
    `options ${OPTIONS} composefs=${digest}`,
  ];
  return `${lines.join("\n")}\n`;
}

function ukiEsp(uki: string): Record<string, string> {
  return {
    "EFI/BOOT/BOOTX64.EFI": join(setUp().firmware, "loader-signed.efi"),
    "EFI/Linux/debian.efi": uki,
  };
}

function lastLine(text: string): string {
  return `\n    ${text.trimEnd().split("\n").at(-1)}`;
}
