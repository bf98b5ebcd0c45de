/**
 * The promise: a changed byte is refused. Each row changes one thing, and shows what a reader gets from the
 * kernel, what the kernel logs, and what this package's tools say. The table is printed at the end.
 */

import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { Bench, flipOnDisk, vmDescribe, vmTest } from "./harness/mod.ts";
import type { Machine, SavedBench } from "./harness/mod.ts";
import { contentOf, mountDisks, objectOf, writeFiles } from "./harness/store.ts";

const FILES = { victim: 20_000, witness: 20_000 };
const VICTIM = `/b/objects/${objectOf("victim", FILES.victim)}`;

/** What the reader of the file sees: status and message of the first command, if it printed any. */
const READ = "cat /mnt/victim >/dev/null";
const WITNESS = "cmp /mnt/witness /a/witness";

interface Row {
  readonly format: string;
  readonly tampering: string;
  readonly reader: string;
  readonly kernel: string;
  readonly ours: string;
}

const table: Row[] = [];

afterAll(() => {
  if (table.length > 0) console.log(formatTable(table));
});

for (const format of ["ext4", "btrfs"] as const) {
  vmDescribe(`an image on ${format}, mounted with its digest`, () => {
    let bench: Bench;
    let mounted: SavedBench;
    let unmounted: SavedBench;

    beforeAll(async () => {
      bench = new Bench(`tamper-${format}`);
      const source = bench.disk("ext4", "16M", writeFiles(join(bench.directory, "files"), FILES));
      const disks = [source, bench.disk(format, "128M")];
      unmounted = await bench.save(disks, async (machine) => {
        // btrfs has checksums of its own, which would notice first.
        await mountDisks(machine, format === "btrfs" ? "nodatasum" : "rw");
        await machine.output(
          `mkcomposefs --digest-store=/b/objects /a /b/image.cfs
           fsverity enable /b/image.cfs
           composefs digest /b/image.cfs | cut -d' ' -f1 >/b/digest`,
        );
        await forgetFiles(machine);
      });
      mounted = await bench.save(
        unmounted.disks.map((disk) => bench.copyOf(disk)),
        async (machine) => {
          await machine.output(MOUNT);
          await forgetFiles(machine);
        },
        unmounted,
      );
    });
    afterAll(() => bench.clear());

    /** Changes something in a machine with the image mounted, and notes what came of it. */
    async function row(
      on: Bench,
      tampering: string,
      change: string,
      commands: { readonly read?: string; readonly ours?: string },
    ): Promise<{ row: Row; machine: Machine }> {
      const machine = await on.boot({ tier: "saved-state", state: mounted });
      return { machine, row: await note(machine, tampering, change, commands) };
    }

    async function note(
      machine: Machine,
      tampering: string,
      change: string,
      { read = READ, ours }: { readonly read?: string; readonly ours?: string },
    ): Promise<Row> {
      if (change !== "") await machine.output(change);
      await machine.output("dmesg -c >/dev/null");
      const reader = await machine.run(read);
      const kernel = await machine.output(
        "dmesg | sed 's/^[^]]*] //' | grep -m 1 -E 'overlayfs|fs-verity' || :",
      );
      const own = ours === undefined ? undefined : await machine.run(ours);
      const made = {
        format,
        tampering,
        reader: `${reader.status}: ${reader.output}`,
        kernel,
        ours: own === undefined ? "" : `${own.status}: ${own.output}`,
      };
      table.push(made);
      return made;
    }

    vmTest(
      "an untouched image reads as the files it was made of, with verity=require",
      async (on) => {
        const machine = await on.boot({ tier: "saved-state", state: mounted });
        expect(await machine.output("grep /mnt /proc/mounts")).toContain("verity=require");
        expect(await machine.run(`cmp /mnt/victim /a/victim && ${WITNESS}`)).toEqual({
          status: 0,
          output: "",
        });
      },
    );

    vmTest("an object cannot be written: EPERM", async (on) => {
      const { row: seen } = await row(on, "write to an object", "", {
        read: `echo x >>${VICTIM}`,
      });
      expect(seen.reader).toContain("Operation not permitted");
    });

    vmTest("an object replaced by one without fs-verity is refused at open: EIO", async (on) => {
      const { row: seen, machine } = await row(
        on,
        "object replaced, without fs-verity",
        `cp /a/witness ${VICTIM}.new && mv ${VICTIM}.new ${VICTIM}`,
        { ours: SCAN },
      );
      expect(seen.reader).toMatch(/can't open.*I\/O error|can't open.*Input\/output error/);
      expect(seen.kernel).toContain("has no fs-verity digest");
      expect(await machine.run(WITNESS)).toEqual({ status: 0, output: "" });
    });

    vmTest("an object replaced by another with fs-verity is refused at open: EIO", async (on) => {
      const { row: seen, machine } = await row(
        on,
        "object replaced, with fs-verity",
        `cp /a/witness ${VICTIM}.new && fsverity enable ${VICTIM}.new && mv ${VICTIM}.new ${VICTIM}`,
        { ours: SCAN },
      );
      expect(seen.reader).toMatch(/can't open.*(I\/O|Input\/output) error/);
      expect(seen.kernel).toContain("has the wrong fs-verity digest");
      expect(await machine.run(WITNESS)).toEqual({ status: 0, output: "" });
    });

    vmTest("a block changed on the disk below is refused when it is read: EIO", async (on) => {
      const disks = mounted.disks.map((disk) => on.copyOf(disk));
      flipOnDisk(disks[1]!, contentOf("victim", FILES.victim).subarray(4096, 4128));
      const machine = await on.boot({ tier: "saved-state", state: mounted, disks });
      const seen = await note(machine, "object's block flipped on the disk", "", { ours: SCAN });
      expect(seen.reader).toMatch(/read error: (I\/O|Input\/output) error/);
      expect(seen.kernel).toContain("FILE CORRUPTED!");
      expect(await machine.run("head -c 4096 /mnt/victim | cmp -n 4096 - /a/victim")).toMatchObject(
        { status: 0 },
      );
      expect(await machine.run(WITNESS)).toEqual({ status: 0, output: "" });
    });

    vmTest("a missing object is ENOENT, and composefs missing names it", async (on) => {
      const { row: seen, machine } = await row(on, "object missing", `rm ${VICTIM}`, {
        ours: "composefs missing --basedir=/b/objects /b/image.cfs",
      });
      expect(seen.reader).toContain("No such file or directory");
      expect(seen.kernel).toContain("lazy lowerdata lookup failed");
      expect(seen.ours).toBe(`4: ${objectOf("victim", FILES.victim)}`);
      expect(await machine.run(WITNESS)).toEqual({ status: 0, output: "" });
    });

    vmTest("an image with another digest than the one asked for is not mounted", async (on) => {
      const machine = await on.boot({ tier: "saved-state", state: unmounted });
      const seen = await note(machine, "digest= of another image", "", {
        read: "ls /mnt",
        ours: MOUNT.replace("$(cat /b/digest)", "0".repeat(64)),
      });
      expect(seen.reader).toBe("0: ");
      expect(seen.ours).toMatch(/^1: mount.composefs: /);
    });

    vmTest("a copy of the image without fs-verity is not mounted with digest=", async (on) => {
      const machine = await on.boot({ tier: "saved-state", state: unmounted });
      const seen = await note(
        machine,
        "image without fs-verity",
        "cp /b/image.cfs /b/copy && mv -f /b/copy /b/image.cfs",
        { read: "ls /mnt", ours: MOUNT },
      );
      expect(seen.ours).toMatch(/^1: mount.composefs: /);
    });

    vmTest("an image changed by one byte, with fs-verity, is not mounted", async (on) => {
      const machine = await on.boot({ tier: "saved-state", state: unmounted });
      const seen = await note(
        machine,
        "image changed, with fs-verity",
        `cp /b/image.cfs /b/copy
         printf x | dd of=/b/copy bs=1 seek=2000 conv=notrunc 2>/dev/null
         fsverity enable /b/copy && mv -f /b/copy /b/image.cfs`,
        { read: "ls /mnt", ours: MOUNT },
      );
      expect(seen.ours).toMatch(/^1: mount.composefs: /);
    });

    vmTest("an image with a byte changed on the disk below is not mounted", async (on) => {
      const disks = unmounted.disks.map((disk) => on.copyOf(disk));
      // The EROFS superblock's magic number.
      flipOnDisk(disks[1]!, Uint8Array.of(0xe2, 0xe1, 0xf5, 0xe0));
      const machine = await on.boot({ tier: "saved-state", state: unmounted, disks });
      const seen = await note(machine, "image's block flipped on the disk", "", {
        read: "cat /b/image.cfs >/dev/null",
        ours: MOUNT,
      });
      expect(seen.reader).toMatch(/read error: (I\/O|Input\/output) error/);
      expect(seen.kernel).toContain("FILE CORRUPTED!");
      expect(seen.ours).toMatch(/^1: mount.composefs: /);
    });
  });
}

vmTest(
  "a file system without fs-verity: stored, mounted without checks, refused with them",
  async (bench) => {
    const source = bench.disk("ext4", "16M", writeFiles(join(bench.directory, "files"), FILES));
    const machine = await bench.boot({
      tier: "saved-state",
      disks: [source, bench.disk("ext4 without verity", "64M")],
    });
    await mountDisks(machine);
    const digest = await machine.output(
      "mkcomposefs --print-digest --digest-store=/b/objects /a /b/image.cfs",
    );
    expect(await machine.run("fsverity enable /b/image.cfs")).toMatchObject({ status: 1 });

    const withDigest = await machine.run(
      `mount.composefs -o basedir=/b/objects,digest=${digest} /b/image.cfs /mnt`,
    );
    expect(withDigest).toEqual({
      status: 1,
      output: expect.stringContaining("/b/image.cfs: Image has no fs-verity\nhint: "),
    });

    // The image alone cannot tell; the first file that is opened does.
    await machine.output("mount.composefs -o basedir=/b/objects,verity /b/image.cfs /mnt");
    const reader = await machine.run(READ);
    expect(reader.output).toContain("Input/output error");
    expect(await machine.output("dmesg")).toContain("has no fs-verity digest");
    await machine.output("umount /mnt");

    await machine.output("mount.composefs -o basedir=/b/objects /b/image.cfs /mnt");
    expect(await machine.run(WITNESS)).toEqual({ status: 0, output: "" });
    table.push({
      format: "ext4 without verity",
      tampering: "nothing, mounted with verity",
      reader: `${reader.status}: ${reader.output}`,
      kernel: "has no fs-verity digest",
      ours: `with digest=: ${withDigest.status}: ${withDigest.output}`,
    });
  },
);

const MOUNT =
  "mount.composefs -o basedir=/b/objects,verity,digest=$(cat /b/digest) /b/image.cfs /mnt";
/** This package as the reader. */
const SCAN = "mkcomposefs --print-digest-only /mnt";

/** So that what a saved machine reads comes from its disks, and what it wrote is on them. */
async function forgetFiles(machine: Machine): Promise<void> {
  await machine.output("sync; echo 3 >/proc/sys/vm/drop_caches");
}

function formatTable(rows: readonly Row[]): string {
  const lines = rows.map((row) =>
    [
      `${row.format}: ${row.tampering}`,
      `    reader  ${row.reader}`,
      `    kernel  ${row.kernel}`,
      `    ours    ${row.ours.replaceAll("\n", "\n            ")}`,
    ].join("\n"),
  );
  return ["What was changed, and what came of it (exit status: message):", ...lines].join("\n");
}
