/** `cfsctl oci prepare-boot`: what it puts on the boot partition. */

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cfsctlMissing, runPeer } from "../support/cfsctl.ts";
import { writeOciLayout } from "../support/layers.ts";
import { needsThat } from "../support/needs.ts";
import { peFile } from "../support/pe-file.ts";
import { run } from "../support/run.ts";
import { archive, member } from "../support/tar-bytes.ts";
import { tempDir } from "../support/temp.ts";
import { runCfsctl } from "./programs.ts";

type Files = Readonly<Record<string, string | Uint8Array>>;

const MODULES: Files = {
  "usr/lib/modules/6.1/vmlinuz": "kernel",
  "usr/lib/modules/6.1/initramfs.img": Buffer.alloc(3000, "initramfs"),
};

const TYPE1: Files = {
  ...MODULES,
  "boot/loader/entries/b.conf":
    "title  B\nlinux /boot/k\ninitrd /usr/i\noptions composefs.digest=x y",
  "boot/loader/entries/c.conf": "title C\nlinux /boot/k\n",
  "boot/k": "kernel of boot",
  "usr/i": Buffer.alloc(100, "initrd"),
};

/** A root file system as a layer: directories of the files come by themselves. */
function layerOf(files: Files): Buffer {
  const directories = new Set(["usr", "boot", "sysroot"]);
  for (const path of Object.keys(files)) {
    const parts = path.split("/");
    for (let i = 1; i < parts.length; i++) directories.add(parts.slice(0, i).join("/"));
  }
  return archive(
    ...[...directories].map((name) => member({ name, typeflag: "5", mode: 0o755 })),
    ...Object.entries(files).map(([name, content]) => member({ name }, content)),
  );
}

interface Prepared {
  readonly status: number;
  /** Every file on the boot partition, and the directories of the state. */
  readonly text: string;
}

function prepare(
  runLine: typeof runPeer,
  files: Files,
  ...options: readonly string[]
): Prepared & { readonly digest: string } {
  const cwd = tempDir();
  for (const name of ["layout", "boot"]) mkdirSync(join(cwd, name));
  writeOciLayout(join(cwd, "layout"), [layerOf(files)]);
  const repo = (...args: string[]) => runLine(["--repo", "sysroot/composefs", ...args], { cwd });
  expect(repo("init", "--insecure", "--algorithm", "fsverity-sha256-12").status).toBe(0);
  expect(repo("oci", "pull", "oci:layout", "os").status).toBe(0);
  const digest = repo("oci", "compute-id", "os", "--bootable").stdout.toString().trim();
  const done = repo("oci", "prepare-boot", "os", "--bootdir", "boot", ...options);
  expect(done.stdout.toString()).toBe("");
  const found = run("find", ["boot", "sysroot/state", "-type", "f", "-o", "-empty"], { cwd });
  const paths = found.stdout.toString().trim().split("\n").sort();
  const parts = paths.map((path) => {
    const isDirectory = run("test", ["-d", path], { cwd }).status === 0;
    return isDirectory ? `${path}/\n` : `${path}:\n${readFileSync(join(cwd, path), "latin1")}\n`;
  });
  return { status: done.status, text: parts.join("").replaceAll(digest, "DIGEST"), digest };
}

const OPTIONS = ["--entry-id", "my", "--cmdline=quiet", "--cmdline", "y=1"];

describe("cfsctl oci prepare-boot", () => {
  test("writes an entry for a kernel beside its modules", () => {
    const { status, text } = prepare(runCfsctl, {
      ...MODULES,
      "usr/lib/modules/6.1/initramfs.img": "i",
    });
    expect(status).toBe(0);
    expect(text).toMatchInlineSnapshot(`
      "boot/6.1/initramfs.img:
      i
      boot/6.1/vmlinuz:
      kernel
      boot/loader/entries/6.1.conf:
      # File created by composefs
      title todoOS
      version 0-todo
      linux /6.1/vmlinuz
      initrd /6.1/initramfs.img
      options composefs.digest=?v1-sha256-12:DIGEST

      sysroot/state/deploy/DIGEST/etc/upper/
      sysroot/state/deploy/DIGEST/etc/work/
      sysroot/state/deploy/DIGEST/var/
      "
    `);
  });

  test("moves an entry of the image, and its files", () => {
    const { status, text } = prepare(runCfsctl, TYPE1, ...OPTIONS);
    expect(status).toBe(0);
    expect(text).toMatchInlineSnapshot(`
      "boot/loader/entries/my.conf:
      title  B
      linux /my/k
      initrd /my/i
      options composefs.digest=?v1-sha256-12:DIGEST y quiet y=1

      boot/my/i:
      initrdinitrdinitrdinitrdinitrdinitrdinitrdinitrdinitrdinitrdinitrdinitrdinitrdinitrdinitrdinitrdinit
      boot/my/k:
      kernel of boot
      sysroot/state/deploy/DIGEST/etc/upper/
      sysroot/state/deploy/DIGEST/etc/work/
      sysroot/state/deploy/DIGEST/var/
      "
    `);
  });

  test("installs a unified kernel image only if it names this image", () => {
    const uki = (digest: string) => ({
      "boot/EFI/Linux/os.efi": peFile([[".cmdline", `quiet composefs=${digest}`]]),
    });
    const refused = prepare(runCfsctl, uki("0".repeat(64)));
    expect(refused.status).toBe(1);
    expect(refused.text).not.toContain("os.efi");
    const installed = prepare(runCfsctl, uki(refused.digest));
    expect(installed.status).toBe(0);
    expect(installed.text).toContain("boot/EFI/Linux/os.efi:");
    expect(prepare(runCfsctl, uki(refused.digest), "--cmdline", "x").status).toBe(1);
  });

  test.each([
    ["no kernel", {}],
    ["a kernel without initramfs", { "usr/lib/modules/6.1/vmlinuz": "k" }],
    ["an entry for what is not there", { "boot/loader/entries/a.conf": "linux /k\n" }],
    ["an entry that leads out", { "boot/loader/entries/a.conf": "linux /../k\n" }],
  ])("fails for %s", (_, files: Files) => {
    expect(prepare(runCfsctl, files).status).toBe(1);
  });
});

needsThat(cfsctlMissing).test(
  "cfsctl oci prepare-boot writes what composefs-rs's writes",
  () => {
    for (const options of [[], OPTIONS]) {
      for (const files of [MODULES, TYPE1]) {
        expect(prepare(runCfsctl, files, ...options)).toEqual(prepare(runPeer, files, ...options));
      }
    }
  },
  120_000,
);
