import {
  linkSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { computeFsVerityDigest } from "#src/core/mod.ts";
import type { FsVerityDigest } from "#src/core/mod.ts";
import { AT_FDCWD, O_RDONLY, close, openat } from "#src/floor/mod.ts";
import { ObjectStaging } from "#src/store/mod.ts";
import type { Repository, StagedObject } from "#src/store/mod.ts";
import { nodeHash } from "../../support/hash.ts";
import { tempDir } from "../../support/temp.ts";
import { listing, newRepository, noise, problemsOfObjects } from "../support.ts";

function digestOf(data: Uint8Array): FsVerityDigest {
  return computeFsVerityDigest(data, nodeHash("sha512"));
}

function objectFile(repository: Repository, digest: FsVerityDigest): string {
  return join(repository.path, "objects", digest.slice(0, 2), digest.slice(2));
}

/** Descriptors of this process that lead below a directory. */
function openFilesBelow(path: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(`${path}/`) ? [target] : [];
    } catch {
      return [];
    }
  });
}

async function withStaging(
  work: (staging: ObjectStaging, repository: Repository) => void | Promise<void>,
  options: { maxStaged?: number } = {},
): Promise<void> {
  const repository = newRepository();
  repository.begin().discard(); // makes objects/
  const staging = new ObjectStaging(repository.objects, options);
  await work(staging, repository);
  staging.discard();
  const path = repository.path;
  repository.close();
  expect(openFilesBelow(path)).toEqual([]);
  expect(listing(path).filter((line) => line.includes(".tmp"))).toEqual([]);
  expect(problemsOfObjects(path, "sha512")).toEqual([]);
}

function importAll(
  staging: ObjectStaging,
  file: string,
  mayHardlink = false,
): ReturnType<ObjectStaging["importFile"]> {
  const fd = openat(AT_FDCWD, file, O_RDONLY);
  try {
    return staging.importFile(fd, statSync(file).size, { mayHardlink });
  } finally {
    close(fd);
  }
}

describe("ObjectStaging", () => {
  test("put: nothing has a name before it is published; what is there is not written", () =>
    withStaging((staging, repository) => {
      const data = noise(5000);
      expect(staging.put(data)).toEqual({ digest: digestOf(data), stored: true });
      expect(staging.put(data)).toEqual({ digest: digestOf(data), stored: false });
      expect(repository.hasObject(digestOf(data))).toBe(false);
      staging.publish();
      expect(readFileSync(objectFile(repository, digestOf(data)))).toEqual(Buffer.from(data));
      expect(statSync(objectFile(repository, digestOf(data))).mode & 0o7777).toBe(0o644);
      expect(staging.put(data).stored).toBe(false);
      expect(staging.stats.copied).toEqual({ objects: 1, bytes: 5000 });
      expect(staging.stats.alreadyPresent).toEqual({ objects: 2, bytes: 10_000 });
    }));

  test.each([0, 1, 4095, 4096, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])(
    "begin: an object of %d bytes in pieces, with and without a hint",
    (size) =>
      withStaging((staging) => {
        const data = noise(size);
        for (const [index, hint] of [undefined, size, 10, 2 * size].entries()) {
          const object = staging.begin(hint);
          for (let at = 0; at < size; at += 700_001) object.write(data.subarray(at, at + 700_001));
          expect(object.size).toBe(size);
          expect(object.finish()).toEqual({ digest: digestOf(data), size, stored: index === 0 });
          object.abort();
          expect(() => object.write(data)).toThrow(TypeError);
        }
        staging.publish();
      }),
  );

  test("begin: what is aborted leaves nothing, and the next object is not disturbed", () =>
    withStaging((staging, repository) => {
      for (const size of [10, 3_000_000]) {
        const object = staging.begin();
        object.write(noise(size));
        object.abort();
      }
      const [one, two] = [staging.begin(), staging.begin()];
      one.write(noise(100));
      two.write(noise(200));
      expect(two.finish().digest).toBe(digestOf(noise(200)));
      expect(one.finish().digest).toBe(digestOf(noise(100)));
      staging.publish();
      expect(listing(repository.path, "objects")).toHaveLength(2);
    }));

  test.each([1000, 2_500_000])("importFile: %d bytes by a copy, then found", (size) =>
    withStaging((staging) => {
      const file = join(tempDir(), "file");
      writeFileSync(file, noise(size));
      const digest = digestOf(noise(size));
      const first = importAll(staging, file);
      expect(first.digest).toBe(digest);
      expect(["copied", "reflinked"]).toContain(first.how);
      expect(importAll(staging, file)).toEqual({ digest, how: "already-present" });
      staging.publish();
      expect(importAll(staging, file)).toEqual({ digest, how: "already-present" });
    }),
  );

  test.each([1000, 2_500_000])(
    "importFile: %d bytes by a hard link, where that is allowed",
    (size) =>
      withStaging((staging, repository) => {
        const file = join(repository.path, "file");
        writeFileSync(file, noise(size));
        const { digest, how } = importAll(staging, file, true);
        if (how === "reflinked") return;
        expect(how).toBe("hardlinked");
        staging.publish();
        expect(statSync(file).ino).toBe(statSync(objectFile(repository, digest)).ino);
        expect(statSync(file).nlink).toBe(2);
      }),
  );

  test("importFile: a hard link that is discarded leaves the source alone", () =>
    withStaging((staging, repository) => {
      const file = join(repository.path, "file");
      writeFileSync(file, noise(1000));
      linkSync(file, join(repository.path, "other"));
      importAll(staging, file, true);
      staging.discard();
      expect(statSync(file).nlink).toBe(2);
    }));

  test.each([1000, 2_500_000])("importFile: %d bytes that are not what was said", (size) =>
    withStaging((staging) => {
      const file = join(tempDir(), "file");
      writeFileSync(file, noise(size));
      const fd = openat(AT_FDCWD, file, O_RDONLY);
      for (const wrong of [size - 1, size + 1]) {
        expect(() => staging.importFile(fd, wrong)).toThrow(
          expect.objectContaining({ code: "source-changed" }),
        );
      }
      expect(staging.importFile(fd, size).digest).toBe(digestOf(noise(size)));
      close(fd);
    }),
  );

  test("no more objects are open than allowed; the rest is published before", () =>
    withStaging(
      (staging, repository) => {
        for (let n = 0; n < 20; n++) staging.put(noise(100 + n));
        expect(openFilesBelow(`${repository.path}/objects`).length).toBeLessThan(8);
        expect(listing(repository.path, "objects")).toHaveLength(16);
        staging.publish();
        expect(listing(repository.path, "objects")).toHaveLength(20);
      },
      { maxStaged: 8 },
    ));

  test("what a worker thread stages is published here", () =>
    withStaging(async (staging, repository) => {
      const script = `
        import { workerData, parentPort } from "node:worker_threads";
        const { ObjectStaging } = await import(workerData.store);
        const staging = new ObjectStaging(workerData.config);
        for (let n = 0; n < 50; n++) staging.put(Buffer.alloc(1000 + n, n));
        parentPort.postMessage(staging.take());`;
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), {
        workerData: { config: repository.objects, store: import.meta.resolve("#src/store/mod.ts") },
      });
      const staged = await new Promise<readonly StagedObject[]>((resolve, reject) => {
        worker.once("message", resolve).once("error", reject);
      });
      await worker.terminate();
      staging.put(Buffer.alloc(1000, 0));
      staging.adopt(staged);
      staging.publish();
      expect(listing(repository.path, "objects")).toHaveLength(50);
    }));

  test("a failure is one of the store, and names it", () =>
    withStaging((staging, repository) => {
      const { digest } = staging.put(noise(1));
      const inTheWay = join(repository.path, "objects", digest.slice(0, 2));
      writeFileSync(inTheWay, "a file");
      expect(() => staging.publish()).toThrow(
        expect.objectContaining({
          code: "store-failed",
          message: expect.stringContaining(repository.path),
        }),
      );
      expect(staging.stagedObjects).toBe(0);
      rmSync(inTheWay);
    }));
});
