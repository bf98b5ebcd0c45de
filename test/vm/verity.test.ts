/** What the kernel measures is what this package computes: on every file system that has fs-verity. */

import { join } from "node:path";
import { expect } from "vitest";
import { vmDescribe, vmTest } from "./harness/mod.ts";
import { computedDigest, contentOf, mountDisks, objectOf, writeFiles } from "./harness/store.ts";

const BLOCK = 4096;
const HASHES = { sha256: BLOCK / 32, sha512: BLOCK / 64 } as const;

/** One under, on and over: a block, two, one block of hashes, a block more. */
function boundaries(hashesPerBlock: number): number[] {
  const edges = [BLOCK, 2 * BLOCK, hashesPerBlock * BLOCK, (hashesPerBlock + 1) * BLOCK];
  return edges.flatMap((edge) => [edge - 1, edge, edge + 1]);
}

/** The smallest file with three levels of hashes: 64 MiB for sha256, 16 MiB for sha512. */
function threeLevels(hashesPerBlock: number): number {
  return hashesPerBlock ** 2 * BLOCK + 1;
}

function filesOf(sizes: readonly number[]): Record<string, number> {
  return Object.fromEntries(sizes.map((size) => [`file-${size}`, size]));
}

/** Digests by path, from what `fsverity measure` printed. */
function parseMeasured(printed: string): Record<string, string> {
  const lines = printed.split("\n").map((line) => line.split(" "));
  return Object.fromEntries(lines.map(([digest = "", path = ""]) => [path, digest]));
}

for (const format of ["ext4", "btrfs"] as const) {
  vmDescribe(`on ${format}`, () => {
    vmTest(
      "mkcomposefs --digest-store: enables fs-verity, and the kernel measures our digests",
      async (bench) => {
        // 65: the smallest file that becomes an object.
        const files = filesOf([65, ...boundaries(HASHES.sha256), threeLevels(HASHES.sha256)]);
        const source = bench.disk(
          "ext4",
          "128M",
          writeFiles(join(bench.directory, "files"), files),
        );
        const machine = await bench.boot({
          tier: "saved-state",
          disks: [source, bench.disk(format, "256M")],
        });
        await mountDisks(machine);
        await machine.output("mkcomposefs --digest-store=/b/objects /a /b/image.cfs");

        const measured = parseMeasured(
          await machine.output("cd /b/objects && find ?? -type f -exec fsverity measure {} +"),
        );
        const ours = Object.entries(files).map(([name, size]) => [
          objectOf(name, size),
          `sha256:${computedDigest(contentOf(name, size), "sha256")}`,
        ]);
        expect(measured).toEqual(Object.fromEntries(ours));
      },
    );

    for (const algorithm of ["sha256", "sha512"] as const) {
      vmTest(
        `composefs digest --algorithm=${algorithm}: prints what the kernel measures`,
        async (bench) => {
          const files = filesOf([
            0,
            1,
            ...boundaries(HASHES[algorithm]),
            threeLevels(HASHES.sha512),
          ]);
          const disk = bench.disk(
            format,
            "256M",
            writeFiles(join(bench.directory, "files"), files),
          );
          const machine = await bench.boot({ tier: "saved-state", disks: [disk] });
          await machine.output("modprobe virtio_blk && mount /dev/vda /mnt");

          // Before fs-verity is enabled it computes, afterwards it asks the kernel.
          const digest = `cd /mnt && composefs digest --json --algorithm=${algorithm} file-*`;
          const computed = JSON.parse(await machine.output(digest)) as DigestLine[];
          await machine.output(
            `cd /mnt && for file in file-*; do fsverity enable --hash-alg=${algorithm} $file; done`,
          );
          const measured = JSON.parse(await machine.output(digest)) as DigestLine[];
          const fromKernel = parseMeasured(
            await machine.output("cd /mnt && fsverity measure file-*"),
          );

          for (const [name, size] of Object.entries(files)) {
            const expected = computedDigest(contentOf(name, size), algorithm);
            const ofFile = (lines: DigestLine[]) => lines.find((line) => line.path === name);
            expect(ofFile(computed), name).toMatchObject({ digest: expected, source: "computed" });
            expect(ofFile(measured), name).toMatchObject({ digest: expected, source: "kernel" });
            expect(fromKernel[name], name).toBe(`${algorithm}:${expected}`);
          }
        },
      );
    }
  });
}

interface DigestLine {
  readonly path: string;
  readonly digest: string;
  readonly source: string;
}
