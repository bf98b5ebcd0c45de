/**
 * OCI images in a repository that requires fs-verity: what is pulled is enforced by the kernel, also what is
 * put together of a zstd:chunked layer and of files that were here; what `repo gc` leaves is whole; and
 * `repo fsck` finds damage below the file system, and repairs it.
 */

import { join } from "node:path";
import { expect } from "vitest";
import { chunkedBlob } from "../support/chunked.ts";
import { addChunkedImage } from "../support/chunked-image.ts";
import { LayoutWriter, pattern } from "../support/images.ts";
import { archive, header, member } from "../support/tar-bytes.ts";
import { flipOnDisk, vmDescribe, vmTest } from "./harness/mod.ts";
import type { Bench, Machine } from "./harness/mod.ts";
import { computedDigest, mountDisks } from "./harness/store.ts";

const PLAIN = pattern(70_000, 1);
const KEPT = pattern(500_000, 2);
const CHANGED = pattern(2000, 3);
const REPOSITORY = "/b/repository";

/** A layout directory with an image of one gzip layer, and two of one zstd:chunked layer that share a file. */
function layoutDisk(bench: Bench): string {
  const directory = join(bench.directory, "layout");
  const usr = header({ name: "usr/", typeflag: "5", mode: 0o755 });
  const layer = (...files: [string, Uint8Array][]) =>
    archive(usr, ...files.map(([name, content]) => member({ name: `usr/${name}` }, content)));
  const plain = layer(["plain", PLAIN], ["small", pattern(4, 5)]);
  const layout = new LayoutWriter(directory);
  layout.tag(layout.image([plain]), "plain");
  for (const [tag, changed] of [
    ["old", pattern(2000, 4)],
    ["new", CHANGED],
  ] as const) {
    const tar = layer(["kept", KEPT], ["changed", changed]);
    addChunkedImage(directory, tag, [{ ...chunkedBlob(tar), archive: tar }]);
  }
  return bench.disk("ext4", "16M", directory);
}

/** Runs a command on the repository and returns its JSON; its messages go to the console. */
async function composefs(
  machine: Machine,
  command: string,
  wanted = 0,
): Promise<Record<string, any>> {
  const { status, output } = await machine.run(
    `composefs ${command} --repo=${REPOSITORY} --json 2>/dev/console`,
  );
  expect(status, `composefs ${command}:\n${output}`).toBe(wanted);
  return JSON.parse(output);
}

/** Asserts that the kernel enforces every object by the digest of its name; returns the digests. */
async function enforcedObjects(machine: Machine, algorithm: string): Promise<string[]> {
  const printed = await machine.output(
    `cd ${REPOSITORY}/objects && find . -type f -exec fsverity measure {} +`,
  );
  const objects = printed.split("\n").map((line) => {
    const [measured, path] = line.split(" ");
    const digest = path!.replace(/[./]/g, "");
    expect(measured).toBe(`${algorithm}:${digest}`);
    return digest;
  });
  const files = await machine.output(`find ${REPOSITORY}/objects -type f | wc -l`);
  expect(objects.length).toBe(Number(files));
  return objects.toSorted();
}

for (const [format, algorithm] of [
  ["ext4", "sha512"],
  ["btrfs", "sha256"],
] as const) {
  vmDescribe(`OCI images on ${format}`, () => {
    vmTest("are enforced whole, and repaired after damage", async (bench) => {
      const disk = bench.disk(format, "128M");
      const machine = await bench.boot({ tier: "saved-state", disks: [layoutDisk(bench), disk] });
      // btrfs has checksums of its own, which would notice first.
      const options = format === "btrfs" ? "nodatasum" : "rw";
      await mountDisks(machine, options);
      await composefs(machine, `repo init --algorithm=${algorithm}`);
      for (const tag of ["plain", "old"]) await composefs(machine, `pull oci:/a:${tag} ${tag}`);
      const { layers } = await composefs(machine, "pull oci:/a:new new");
      expect(layers[0].chunked).toMatchObject({ way: "partial", reused: { files: 1 } });
      expect(layers[0].fetched).toBeLessThan(KEPT.length);
      const before = await enforcedObjects(machine, algorithm);
      const [kept, changed] = [KEPT, CHANGED].map((file) => computedDigest(file, algorithm));
      expect(before).toEqual(expect.arrayContaining([kept, changed]));

      // What only one image needed goes, all else stays as it is.
      await machine.output(`composefs untag --repo=${REPOSITORY} plain`);
      const gone = await composefs(machine, "repo gc");
      expect(gone).toMatchObject({ damage: [], strange: [], temporary: [] });
      const left = await enforcedObjects(machine, algorithm);
      expect(left.length).toBe(before.length - gone["objects"]);
      expect(left).toEqual(expect.arrayContaining([kept, changed]));
      expect(left).not.toContain(computedDigest(PLAIN, algorithm));
      expect(await composefs(machine, "repo fsck --deep")).toMatchObject({
        ok: true,
        findings: [],
        ociImages: { checked: 2 },
      });

      // One object changes below the file system, another becomes a file of the same size and fs-verity.
      const object = `${REPOSITORY}/objects/${changed!.slice(0, 2)}/${changed!.slice(2)}`;
      await machine.output(
        `head -c 2000 /dev/zero >/b/other && fsverity enable --hash-alg=${algorithm} /b/other &&
         mv /b/other ${object} && sync && echo 3 >/proc/sys/vm/drop_caches && umount /b`,
      );
      flipOnDisk(disk, KEPT.subarray(8192, 8192 + 32));
      await machine.output(`mount -o ${options} /dev/vdb /b`);
      const found = await composefs(machine, "repo fsck --deep", 6);
      expect(found["findings"]).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ digest: kept, severity: "damage", detail: "i/o error (EIO)" }),
          expect.objectContaining({ digest: changed, kind: "object-digest-mismatch" }),
        ]),
      );
      expect(found["findings"].length).toBe(2);
      expect(found["hurt"]).toMatchObject([
        { name: "new", files: ["/usr/changed", "/usr/kept"] },
        { name: "old", files: ["/usr/kept"] },
      ]);

      const repair = "repo fsck --deep --repair --source=oci:/a:new";
      const { repaired, failures } = await composefs(machine, repair);
      expect(failures).toEqual([]);
      expect(new Set(repaired.map((each: { digest: string }) => each.digest))).toEqual(
        new Set([kept, changed]),
      );
      expect(await composefs(machine, "repo fsck --deep")).toMatchObject({
        ok: true,
        findings: [],
      });
      expect(await enforcedObjects(machine, algorithm)).toEqual(left);
    });
  });
}
