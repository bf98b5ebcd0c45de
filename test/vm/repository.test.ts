/**
 * A repository that requires fs-verity, on file systems that have it: everything that is stored is enforced
 * by the kernel, and what is not is refused.
 */

import { join } from "node:path";
import { expect } from "vitest";
import { flipOnDisk, vmDescribe, vmTest } from "./harness/mod.ts";
import { mountDisks, writeFiles } from "./harness/store.ts";

const FILES = { one: 65, two: 20_000, three: 3_000_000 };

/** What test/vm/guest/use-repository.mjs prints. */
interface Printed {
  readonly steps: Readonly<Record<string, unknown>>;
  readonly digests: Readonly<Record<string, string>>;
}

for (const format of ["ext4", "btrfs"] as const) {
  vmDescribe(`a repository on ${format}`, () => {
    vmTest("that requires fs-verity gives and takes nothing else", async (bench) => {
      const source = bench.disk("ext4", "16M", writeFiles(join(bench.directory, "files"), FILES));
      const disk = bench.disk(format, "128M");
      const machine = await bench.boot({ tier: "saved-state", disks: [source, disk] });
      // btrfs has checksums of its own, which would notice first.
      await mountDisks(machine, format === "btrfs" ? "nodatasum" : "rw");
      const printed = await machine.output("node /opt/use-repository.mjs /b/repository /a", {
        timeout: 100_000,
      });
      const { steps, digests } = JSON.parse(printed) as Printed;
      expect(steps).toEqual({
        "no fs-verity": "verity-missing",
        init: "created",
        "init again": "already",
        "meta.json": true,
        commit: 4,
        scan: 3,
        import: [format === "btrfs" ? "reflinked" : "hardlinked", true],
        "import with other fs-verity": [format === "btrfs" ? "reflinked" : "hardlinked", true],
        "held open": true,
        busy: "published",
        "all objects are enforced": [],
        read: [3_000_000, true, 5000],
        "unsealed object": "verity-missing",
        "unsealed object, read": "verity-missing",
        "unsealed object, again": [true, true],
        "other object": "object-corrupt",
        "other object, again": true,
        downgraded: "missing-allowed",
        "downgraded, required": "verity-missing",
        "downgraded, init": "repository-conflict",
        "downgraded, ensure": "repository-conflict",
        upgraded: ["required", "sha512", true],
      });

      // The command line says the same.
      const status = await machine.output(
        "composefs repo status --repo /b/repository --require-verity --json",
      );
      expect(JSON.parse(status)).toMatchObject({ verity: "required", strange: 0 });

      // A block that changes on the disk is not read.
      const object = `/b/repository/objects/${digests["large"]!.slice(0, 2)}/${digests["large"]!.slice(2)}`;
      await machine.output("sync; echo 3 >/proc/sys/vm/drop_caches; umount /b");
      flipOnDisk(disk, Buffer.alloc(4096, "large 7"));
      await machine.output(`mount ${format === "btrfs" ? "-o nodatasum " : ""}/dev/vdb /b`);
      const read = await machine.run(`cat ${object} >/dev/null`);
      expect(read.status).not.toBe(0);
      expect(read.output).toContain("Input/output error");
    });
  });
}
