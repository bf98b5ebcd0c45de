import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SplitStreamWriter, byteString, parseFsVerityDigest } from "#src/core/mod.ts";
import { close } from "#src/floor/mod.ts";
import { Repository, initRepository } from "#src/store/mod.ts";
import {
  INSECURE,
  freshPath,
  listing,
  newRepository,
  noise,
  problemsOfObjects,
} from "./support.ts";

function stream(): Uint8Array {
  const writer = new SplitStreamWriter({ algorithm: "sha512", contentType: 1n });
  writer.writeInline(noise(100));
  return writer.finish();
}

describe("Repository", () => {
  test("what a transaction commits is found by its names", async () => {
    const repository = newRepository();
    const transaction = repository.begin();
    const bytes = stream();
    const digest = transaction.putStream(byteString("some-stream"), bytes);
    const image = transaction.putImage(noise(5000));
    transaction.setRef("streams", byteString("a/b"), byteString("some-stream"));
    transaction.setRef("images", byteString("name"), byteString(image));
    expect(listing(repository.path)).toEqual(["meta.json 219"]);
    await transaction.commit();

    expect(repository.streamDigest(byteString("some-stream"))).toBe(digest);
    expect(repository.listStreams()).toEqual(["some-stream"]);
    expect(repository.listImages()).toEqual([image]);
    expect(repository.listRefs("streams")).toEqual([{ name: "a/b", target: "some-stream" }]);
    expect(repository.listRefs("images")).toEqual([{ name: "name", target: image }]);
    expect(repository.readObject(digest, 1000)).toEqual(bytes);
    for (const name of ["some-stream", "a/b", "refs/a/b"]) {
      const opened = repository.openStream(byteString(name));
      expect(opened.digest).toBe(digest);
      expect(opened.stream.size).toBe(100);
      opened.close();
    }
    for (const name of [image, "name", "refs/name"]) {
      const opened = repository.openImage(byteString(name));
      expect(opened).toMatchObject({ digest: image, size: 5000, isEnforced: false });
      close(opened.fd);
    }
    expect(problemsOfObjects(repository.path, "sha512")).toEqual([]);
    expect(listing(repository.path, "streams")).toEqual([
      "streams/refs/a/b -> ../../some-stream",
      `streams/some-stream -> ../objects/${digest.slice(0, 2)}/${digest.slice(2)}`,
    ]);
    repository.close();
  });

  test("a ref is removed with the directories that it leaves empty", async () => {
    const repository = newRepository();
    const transaction = repository.begin();
    transaction.putStream(byteString("id"), stream());
    for (const name of ["x/y/z", "x/w"]) {
      transaction.setRef("streams", byteString(name), byteString("id"));
    }
    await transaction.commit();
    expect(repository.removeRef("streams", byteString("x/y/z"))).toBe(true);
    expect(repository.removeRef("streams", byteString("x/y/z"))).toBe(false);
    expect(repository.listRefs("streams")).toEqual([{ name: "x/w", target: "id" }]);
    expect(repository.removeRef("streams", byteString("x/w"))).toBe(true);
    expect(listing(repository.path, "streams/refs")).toEqual([]);
    expect(repository.removeRef("streams", byteString("../id"))).toBe(false);
    repository.close();
  });

  test("refuses what is no repository, with a reason", () => {
    const nowhere = freshPath();
    expect(() => Repository.open(nowhere)).toThrow(
      expect.objectContaining({ code: "repository-missing" }),
    );
    mkdirSync(nowhere);
    expect(() => Repository.open(nowhere)).toThrow(
      expect.objectContaining({ code: "repository-missing" }),
    );
    mkdirSync(join(nowhere, "objects"));
    expect(() => Repository.open(nowhere)).toThrow(/it is old and has no meta.json/);
    expect(() => Repository.open(nowhere, { upgrade: true })).toThrow(
      /no meta.json and no objects/,
    );
    writeFileSync(join(nowhere, "meta.json"), "{");
    expect(() => Repository.open(nowhere)).toThrow(
      expect.objectContaining({ code: "repository-invalid" }),
    );
  });

  test("does not lower what was asked for", () => {
    const path = freshPath();
    initRepository(path, INSECURE);
    expect(() => Repository.open(path, { verity: "required" })).toThrow(
      expect.objectContaining({ code: "verity-missing" }),
    );
    expect(() => Repository.open(path, { algorithm: "sha256" })).toThrow(
      expect.objectContaining({ code: "repository-conflict" }),
    );
  });

  test("a damaged object is not read, and is replaced when it comes again", async () => {
    const repository = newRepository();
    const transaction = repository.begin();
    const data = noise(3000);
    const { digest } = transaction.objects.put(data);
    await transaction.commit();
    const file = join(repository.path, "objects", digest.slice(0, 2), digest.slice(2));
    writeFileSync(file, data.subarray(1));
    expect(() => repository.readObject(digest, 4096)).toThrow(
      expect.objectContaining({ code: "object-corrupt" }),
    );
    expect(transaction.objects.put(data)).toEqual({ digest, stored: true });
    await transaction.commit();
    expect(repository.readObject(digest, 4096)).toEqual(data);
    expect(() => repository.readObject(digest, 100)).toThrow(/at most 100/);
    repository.close();
  });

  test("an image that is not linked, or links elsewhere, cannot be opened", async () => {
    const repository = newRepository();
    const transaction = repository.begin();
    const { digest } = transaction.objects.put(noise(4096));
    const other = parseFsVerityDigest("ab".repeat(64));
    await transaction.commit();
    expect(() => repository.openImage(byteString(digest))).toThrow(
      expect.objectContaining({ code: "not-in-repository" }),
    );
    mkdirSync(join(repository.path, "images"));
    symlinkSync(
      `../objects/${digest.slice(0, 2)}/${digest.slice(2)}`,
      join(repository.path, "images", other),
    );
    expect(() => repository.openImage(byteString(other))).toThrow(
      expect.objectContaining({ code: "repository-invalid" }),
    );
    repository.close();
  });
});
