import { existsSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { byteString, parseFsVerityDigest } from "#src/core/mod.ts";
import type { ByteString } from "#src/core/mod.ts";
import { Repository, initRepository } from "#src/store/mod.ts";
import { needs } from "../support/needs.ts";
import { run } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { INSECURE, listing, newRepository, noise, problemsOfObjects } from "./support.ts";

function must(command: string, ...args: string[]): void {
  const done = run(command, args);
  if (done.status !== 0) throw new Error(`${command}: ${done.stderr}`);
}

const ID = byteString("id");

const mounted: string[] = [];
afterAll(() => {
  for (const path of mounted) must("umount", path);
});

describe("Transaction", () => {
  test("may be committed again, and goes on", async () => {
    const repository = newRepository();
    const transaction = repository.begin();
    transaction.putStream(ID, noise(100));
    await transaction.commit();
    expect(repository.listStreams()).toEqual(["id"]);
    const second = transaction.putStream(ID, noise(200));
    await transaction.commit();
    await transaction.commit();
    expect(repository.streamDigest(ID)).toBe(second);
    repository.close();
  });

  test("discard forgets what was not committed", async () => {
    const repository = newRepository();
    const transaction = repository.begin();
    transaction.putStream(ID, noise(100));
    transaction.setRef("streams", ID, ID);
    transaction.discard();
    await transaction.commit();
    expect(listing(repository.path)).toEqual(["meta.json 219"]);
    repository.close();
  });

  test("links and refs to what is not there are refused before anything is seen", async () => {
    const repository = newRepository();
    const nowhere = parseFsVerityDigest("ab".repeat(64));
    const transaction = repository.begin();
    transaction.linkStream(ID, nowhere);
    await expect(transaction.commit()).rejects.toMatchObject({ code: "object-missing" });
    transaction.discard();
    for (const kind of ["streams", "images"] as const) {
      transaction.setRef(kind, byteString("name"), byteString(nowhere));
      await expect(transaction.commit()).rejects.toMatchObject({ code: "not-in-repository" });
      transaction.discard();
    }
    expect(listing(repository.path)).toEqual(["meta.json 219"]);
    repository.close();
  });

  test("names that would lead elsewhere are refused", () => {
    const repository = newRepository();
    const transaction = repository.begin();
    const usage = expect.objectContaining({ code: "usage" });
    for (const id of ["", ".", "..", "refs", "a/b", "a\0b", "x".repeat(256)]) {
      expect(() => transaction.putStream(id as ByteString, noise(1)), id).toThrow(usage);
      expect(() => transaction.setRef("streams", ID, id as ByteString), id).toThrow(usage);
      expect(repository.streamDigest(id as ByteString)).toBeUndefined();
    }
    for (const name of [
      "",
      "/",
      "a//b",
      "/a",
      "a/",
      "..",
      "../a",
      "a/../b",
      "a/.",
      "x/\0",
      "y".repeat(256),
    ]) {
      expect(() => transaction.setRef("images", name as ByteString, ID), name).toThrow(usage);
      expect(repository.readRef("images", name as ByteString)).toBeUndefined();
      expect(repository.removeRef("images", name as ByteString)).toBe(false);
    }
    repository.close();
  });

  test("a ref cannot be a directory of refs as well", async () => {
    const repository = newRepository();
    const transaction = repository.begin();
    transaction.putStream(ID, noise(1));
    transaction.setRef("streams", byteString("a"), ID);
    await transaction.commit();
    transaction.setRef("streams", byteString("a/b"), ID);
    await expect(transaction.commit()).rejects.toMatchObject({ code: "repository-conflict" });
    transaction.discard();
    transaction.setRef("streams", byteString("c/d"), ID);
    await transaction.commit();
    transaction.setRef("streams", byteString("c"), ID);
    await expect(transaction.commit()).rejects.toMatchObject({ code: "repository-conflict" });
    expect(repository.listRefs("streams").map(({ name }) => name)).toEqual(["a", "c/d"]);
    repository.close();
  });

  test("a symlink that is there is replaced at once, whatever it said", async () => {
    const repository = newRepository();
    mkdirSync(join(repository.path, "streams/refs"), { recursive: true });
    symlinkSync("/etc/passwd", join(repository.path, "streams/id"));
    symlinkSync("nowhere", join(repository.path, "streams/refs/name"));
    expect(() => repository.streamDigest(ID)).toThrow(
      expect.objectContaining({ code: "repository-invalid" }),
    );
    const transaction = repository.begin();
    const digest = transaction.putStream(ID, noise(10));
    transaction.setRef("streams", byteString("name"), ID);
    await transaction.commit();
    expect(repository.streamDigest(ID)).toBe(digest);
    expect(repository.readRef("streams", byteString("name"))).toBe("id");
    expect(existsSync(join(repository.path, "streams/refs/name"))).toBe(true);
    repository.close();
  });

  test("any name comes back as the same bytes, and its link leads to the entry", async () => {
    const repository = newRepository();
    const transaction = repository.begin();
    transaction.putStream(ID, noise(10));
    const component = fc
      .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 12 })
      .map((bytes) => String.fromCharCode(...bytes).replaceAll("/", "_"))
      .filter((name) => name !== "." && name !== "..");
    // Each round below a directory of its own, so that no name is a directory of another.
    let rounds = 0;
    const name = fc
      .array(component, { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join("/"));
    await fc.assert(
      fc.asyncProperty(name, async (made) => {
        const ref = `${rounds++}/${made}` as ByteString;
        transaction.setRef("streams", ref, ID);
        await transaction.commit();
        expect(repository.readRef("streams", ref)).toBe("id");
        expect(repository.listRefs("streams")).toContainEqual({ name: ref, target: "id" });
        const link = Buffer.from(`${repository.path}/streams/refs/${ref}`, "latin1");
        expect(readlinkSync(link)).toBe(`${"../".repeat(ref.split("/").length)}id`);
        expect(existsSync(link)).toBe(true);
      }),
      { numRuns: 30 },
    );
    repository.close();
  });

  test("is refused where a feature that we do not know forbids writing", () => {
    const repository = newRepository();
    const text = `{"version":1,"algorithm":"fsverity-sha512-12","features":{"read-only-compatible":["new"]}}`;
    writeFileSync(join(repository.path, "meta.json"), text);
    repository.close();
    const again = Repository.open(repository.path);
    expect(again.formats).toEqual({ default: 2, extra: [] });
    expect(() => again.begin()).toThrow(/it has "new"/);
    expect(() => again.removeRef("streams", ID)).toThrow(/it has "new"/);
    again.close();
    expect(() => Repository.open(repository.path, { writable: true })).toThrow(/it has "new"/);
  });

  test("two at a time give the same name, and one of them stays", async () => {
    const repository = newRepository();
    const [one, two] = [repository.begin(), repository.begin()];
    for (const [index, transaction] of [one, two].entries()) {
      transaction.putStream(ID, noise(100 + index));
      transaction.objects.put(noise(5000));
      transaction.setRef("streams", byteString("name"), ID);
    }
    await Promise.all([one.commit(), two.commit()]);
    expect(repository.listRefs("streams")).toEqual([{ name: "name", target: "id" }]);
    const size = repository.readObject(repository.streamDigest(ID)!, 1000).length;
    expect([100, 101]).toContain(size);
    repository.close();
  });

  test("what is added while it commits is for the next commit", async () => {
    const repository = newRepository();
    const transaction = repository.begin();
    transaction.putStream(byteString("first"), noise(10));
    const committing = transaction.commit();
    const second = transaction.putStream(byteString("second"), noise(5000));
    transaction.setRef("streams", byteString("name"), byteString("second"));
    await committing;
    expect(repository.listStreams()).toEqual(["first"]);
    expect(repository.hasObject(second)).toBe(false);
    await transaction.commit();
    expect(repository.listStreams()).toEqual(["first", "second"]);
    expect(repository.readRef("streams", byteString("name"))).toBe("second");
    repository.close();
  });

  needs("root", "mount").test("a full disk is an error, and leaves nothing", async () => {
    const place = tempDir();
    mounted.push(place);
    must("mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", place);
    const path = byteString(join(place, "repo"));
    initRepository(path, INSECURE);
    const repository = Repository.open(path);
    const transaction = repository.begin();
    const full = expect.objectContaining({
      code: "store-failed",
      message: expect.stringContaining("ENOSPC"),
      hint: "make room on its file system",
    });
    for (let n = 0; n < 8; n++) transaction.objects.put(noise(100_000, n));
    const object = transaction.objects.begin();
    expect(() => {
      for (;;) object.write(noise(300_000));
    }).toThrow(full);
    object.abort();
    expect(() => transaction.putStream(ID, noise(900_000))).toThrow(full);
    transaction.discard();
    expect(listing(path)).toEqual(["meta.json 219"]);
    transaction.putStream(ID, noise(900_000));
    await transaction.commit();
    expect(problemsOfObjects(path, "sha512")).toEqual([]);
    repository.close();
  });
});
