/**
 * The tiers that begin with UEFI firmware: OVMF, then systemd-boot or a unified kernel image from the disk's
 * EFI system partition. How far a test goes, to the kernel's command line or to a shell in Debian, is up to it.
 */

import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Machine } from "./machine.ts";
import { firmwareDirectories, hostTool, setUp } from "./setup.ts";

export interface FirmwareBootRequest {
  /** The disk, changed by the machine. */
  readonly disk: string;
  /** Whether the firmware starts only what is signed with `db`. */
  readonly secureBoot: boolean;
  readonly log: string;
  /** Milliseconds that the machine may run in all. */
  readonly limit: number;
  /** A path for the firmware's variables. */
  readonly variables: string;
}

export function bootFirmware(request: FirmwareBootRequest): Machine {
  const { firmware } = setUp();
  const kind = request.secureBoot ? "secboot-" : "";
  copyFileSync(join(firmware, `${kind}vars.fd`), request.variables);
  // Secure Boot wants variables that only the firmware's own code in system management mode can write.
  const secure = request.secureBoot
    ? ["-global", "driver=cfi.pflash01,property=secure,value=on"]
    : [];
  const flash = [
    `if=pflash,format=raw,unit=0,readonly=on,file=${join(firmware, `${kind}code.fd`)}`,
    `if=pflash,format=raw,unit=1,file=${request.variables}`,
  ];
  return new Machine({
    log: request.log,
    limit: request.limit,
    args: [
      firmwareDirectories(),
      ["-machine", `q35,smm=${request.secureBoot ? "on" : "off"}`, "-smp", "1", "-m", "1G"],
      secure,
      flash.flatMap((drive) => ["-drive", drive]),
      ["-drive", `if=none,id=disk,format=raw,cache=unsafe,file=${request.disk}`],
      ["-device", "virtio-blk-pci,drive=disk,bootindex=1"],
    ].flat(),
  });
}

/** What a unified kernel image is made of. */
export interface UnifiedKernelImage {
  readonly initramfs: string;
  readonly commandLine: string;
  /** The key that signs it, in the set-up's firmware directory; unsigned unless given. */
  readonly key?: "db" | "stranger";
}

/** Makes a unified kernel image with systemd's stub. */
export function makeUki(path: string, image: UnifiedKernelImage): void {
  const { packages, kernel, firmware } = setUp();
  const signature =
    image.key === undefined
      ? []
      : [
          "--signtool=sbsign",
          `--secureboot-private-key=${join(firmware, `${image.key}.key`)}`,
          `--secureboot-certificate=${join(firmware, `${image.key}.crt`)}`,
        ];
  writeFileSync(`${path}.cmdline`, image.commandLine);
  hostTool("python3", [
    join(packages, "usr/lib/systemd/ukify"),
    "build",
    `--linux=${join(kernel, "vmlinuz")}`,
    `--initrd=${image.initramfs}`,
    `--cmdline=@${path}.cmdline`,
    `--stub=${join(packages, "usr/lib/systemd/boot/efi/linuxx64.efi.stub")}`,
    "--os-release=ID=debian\nPRETTY_NAME=test\n",
    `--uname=${hostTool("cat", [join(kernel, "release")])}`,
    ...signature,
    `--output=${path}`,
  ]);
}
