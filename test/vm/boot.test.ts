/**
 * The whole chain: firmware, boot loader, kernel, initramfs, and Debian from one of our images as the root
 * file system; then the same with one byte changed in each link, and who refuses it.
 */

import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import {
  bootParts,
  copyWithFlippedBit,
  flipOnDisk,
  makeBootDisk,
  makeUki,
  nodeState,
  setUp,
  vmDescribe,
  vmTest,
} from "./harness/mod.ts";
import type { Bench, BootParts } from "./harness/mod.ts";

const OPTIONS = "console=ttyS0 panic=-1 systemd.show_status=false";

vmDescribe("Debian from a composefs image", () => {
  let parts: BootParts;
  beforeAll(async () => {
    parts = await bootParts(nodeState());
  }, 240_000);

  const refusals: string[] = [];
  afterAll(() => {
    if (refusals.length > 0) console.log(["Who refuses what:", ...refusals].join("\n"));
  });

  /** A disk with systemd-boot and an entry that names the image. */
  function diskWithEntry(bench: Bench, root: string, digest = parts.digest): string {
    const file = (name: string, text: string): string => {
      const path = join(bench.directory, name);
      writeFileSync(path, text);
      return path;
    };
    const entry = [
      "title Debian",
      "linux /debian/linux",
      "initrd /debian/initrd",
      `options ${OPTIONS} composefs=${digest}`,
    ];
    const disk = join(bench.directory, "boot-disk");
    makeBootDisk(disk, {
      root,
      esp: {
        "EFI/BOOT/BOOTX64.EFI": join(setUp().firmware, "loader.efi"),
        "loader/loader.conf": file("loader.conf", "timeout 0\n"),
        "loader/entries/debian.conf": file("debian.conf", `${entry.join("\n")}\n`),
        "debian/linux": join(setUp().kernel, "vmlinuz"),
        "debian/initrd": parts.initramfs,
      },
    });
    return disk;
  }

  /** A disk with the signed boot loader and one unified kernel image. */
  function diskWithUki(bench: Bench, uki: string): string {
    const disk = join(bench.directory, "boot-disk");
    makeBootDisk(disk, {
      root: parts.root,
      esp: {
        "EFI/BOOT/BOOTX64.EFI": join(setUp().firmware, "loader-signed.efi"),
        "EFI/Linux/debian.efi": uki,
      },
    });
    return disk;
  }

  function uki(bench: Bench, key: "db" | "stranger"): string {
    const path = join(bench.directory, "debian.efi");
    const commandLine = `${OPTIONS} composefs=${parts.digest}`;
    makeUki(path, { initramfs: parts.initramfs, commandLine, key });
    return path;
  }

  vmTest("boots with composefs= in a boot loader entry", async (bench) => {
    const disk = diskWithEntry(bench, parts.root);
    const machine = await bench.boot({ tier: "full", disk });
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
    const disk = diskWithUki(bench, uki(bench, "db"));
    const machine = await bench.boot({ tier: "full", disk, secureBoot: true });
    await machine.expect("UEFI Secure Boot is enabled");
    await machine.expect(`initramfs: mounted ${parts.digest}`);
    await machine.ready();
    expect(await machine.output("grep ' / ' /proc/mounts")).toContain("verity=require");
    expect(await machine.output("cat /sys/kernel/security/lockdown")).toMatch(/\[\w+\]/);
  });

  vmTest("a changed object: the kernel refuses to read it", async (bench) => {
    const root = bench.copyOf(parts.root);
    const systemd = readFileSync(join(setUp().userspace, "usr/lib/systemd/systemd"));
    flipOnDisk(root, systemd.subarray(0, 4096));
    const machine = await bench.boot({ tier: "full", disk: diskWithEntry(bench, root) });
    await machine.expect(`initramfs: mounted ${parts.digest}`);
    const kernel = await machine.expect(/fs-verity .* FILE CORRUPTED!.*\n/);
    const init = await machine.expect(/initramfs: refused: .*\n/);
    refusals.push(`a changed object: ${lastLines(kernel, 1)}${lastLines(init, 1)}`);
  });

  vmTest("a changed image: the kernel refuses to read it, and it is not mounted", async (bench) => {
    const root = bench.copyOf(parts.root);
    flipOnDisk(root, parts.image.subarray(0, 4096));
    const machine = await bench.boot({ tier: "full", disk: diskWithEntry(bench, root) });
    const kernel = await machine.expect(/fs-verity .* FILE CORRUPTED!.*\n/);
    const ours = await machine.expect(/mount.composefs: .*\n/);
    await machine.expect("initramfs: refused: cannot mount the image");
    refusals.push(`a changed image: ${lastLines(kernel, 1)}${lastLines(ours, 1)}`);
  });

  vmTest("another image than the command line names: mount.composefs refuses it", async (bench) => {
    const disk = diskWithEntry(bench, parts.root, "0".repeat(64));
    const machine = await bench.boot({ tier: "full", disk });
    const ours = await machine.expect(/mount.composefs: .*\n/);
    await machine.expect("initramfs: refused: cannot mount the image");
    refusals.push(`another digest on the command line: ${lastLines(ours, 1)}`);
  });

  vmTest("a changed command line in the UKI: the firmware refuses it", async (bench) => {
    const signed = uki(bench, "db");
    const changed = `${signed}.changed`;
    const digit = readFileSync(signed).indexOf(`composefs=${parts.digest}`) + "composefs=".length;
    copyWithFlippedBit(signed, changed, digit);
    const disk = diskWithUki(bench, changed);
    const machine = await bench.boot({ tier: "loader", disk, secureBoot: true });
    const shown = await machine.expect(/Error loading.*\n/);
    expect(shown).toMatch(/Access denied/i);
    refusals.push(`a changed command line in the UKI: ${lastLines(shown, 1)}`);

    await machine.powerCut();

    // It is the signature that is missed: without Secure Boot the same disk starts the kernel.
    const careless = await bench.boot({ tier: "loader", disk });
    const line = await careless.expect(/Command line: .*\n/);
    expect(line).toContain("composefs=");
    expect(line).not.toContain(parts.digest);
  });

  vmTest("a changed signature of the UKI: the firmware refuses it", async (bench) => {
    const signed = uki(bench, "db");
    const changed = `${signed}.changed`;
    // The signature's number is the last thing in the file, before some padding.
    copyWithFlippedBit(signed, changed, statSync(signed).size - 64);
    const disk = diskWithUki(bench, changed);
    const machine = await bench.boot({ tier: "loader", disk, secureBoot: true });
    const shown = await machine.expect(/Error loading.*\n/);
    expect(shown).toMatch(/Access denied/i);
    refusals.push(`a changed signature of the UKI: ${lastLines(shown, 1)}`);
  });

  vmTest("a UKI signed with another key: the firmware refuses it", async (bench) => {
    const disk = diskWithUki(bench, uki(bench, "stranger"));
    const machine = await bench.boot({ tier: "loader", disk, secureBoot: true });
    const shown = await machine.expect(/Error loading.*\n/);
    expect(shown).toMatch(/Access denied/i);
    refusals.push(`a UKI signed with another key: ${lastLines(shown, 1)}`);
  });

  vmTest("the boot loader hands the entry's options to the kernel", async (bench) => {
    const disk = diskWithEntry(bench, parts.root);
    const machine = await bench.boot({ tier: "loader", disk });
    const line = await machine.expect(/Command line: .*\n/);
    expect(line).toContain(`${OPTIONS} composefs=${parts.digest}`);
  });
});

function lastLines(text: string, count: number): string {
  const lines = text.split(/\r*\n/).filter((line) => line.trim() !== "");
  return `\n    ${lines.slice(-count).join("\n    ")}`;
}
