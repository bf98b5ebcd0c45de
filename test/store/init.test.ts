import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import { AT_FDCWD, O_RDONLY, close, flock, measureVerity, openat } from "#src/floor/mod.ts";
import { Repository, initRepository } from "#src/store/mod.ts";
import type { InitOptions } from "#src/store/mod.ts";
import { needsThat } from "../support/needs.ts";
import { INSECURE, freshPath, listing, newRepository, noise } from "./support.ts";

const CONFLICT = expect.objectContaining({ code: "repository-conflict" });

/** Why these tests cannot see what a file system without fs-verity does. */
function hasVerity(): string | undefined {
  const path = freshPath();
  try {
    initRepository(path, { ...INSECURE, verity: "required" });
    return "needs a file system without fs-verity for temporary files";
  } catch {
    return undefined;
  }
}

describe("initRepository", () => {
  test("makes a private directory and one file in it", () => {
    const path = freshPath();
    expect(initRepository(path, INSECURE)).toMatchObject({
      outcome: "created",
      verity: "missing-allowed",
      metadata: { algorithm: "sha512", formats: { default: 1, extra: [] } },
    });
    expect(readdirSync(path)).toEqual(["meta.json"]);
    expect(statSync(path).mode & 0o7777).toBe(0o700 & ~process.umask());
    expect(statSync(join(path, "meta.json")).mode & 0o7777).toBe(0o644);
  });

  test("takes an empty directory, also by a symlink, and not a missing parent", () => {
    const path = freshPath();
    mkdirSync(path);
    const link = byteString(join(dirname(path), "link"));
    symlinkSync("repo", link);
    expect(initRepository(link, INSECURE).outcome).toBe("created");
    expect(existsSync(join(path, "meta.json"))).toBe(true);
    expect(() => initRepository(byteString(`${path}/not/there`), INSECURE)).toThrow(/ENOENT/);
  });

  test("finds what is there, and refuses another algorithm, format or mode", () => {
    const path = freshPath();
    initRepository(path, INSECURE);
    const before = readFileSync(join(path, "meta.json"));
    expect(initRepository(path, INSECURE).outcome).toBe("already");
    const V2: InitOptions = { ...INSECURE, formats: { default: 2, extra: [] } };
    expect(() => initRepository(path, V2)).toThrow(CONFLICT);
    expect(() => initRepository(path, { ...INSECURE, algorithm: "sha256" })).toThrow(CONFLICT);
    expect(() => initRepository(path, { ...INSECURE, verity: "required" })).toThrow(CONFLICT);
    expect(initRepository(path, { ...V2, ensure: true })).toMatchObject({
      outcome: "already",
      metadata: { formats: { default: 1 } },
    });
    // What was asked for is not lowered by what is there, whoever is content with the rest.
    const ensure = { ...V2, ensure: true, verity: "required" } as const;
    expect(() => initRepository(path, ensure)).toThrow(CONFLICT);
    const other = { ...INSECURE, ensure: true, algorithm: "sha256" } as const;
    expect(() => initRepository(path, other)).toThrow(CONFLICT);
    expect(readFileSync(join(path, "meta.json"))).toEqual(before);
  });

  needsThat(hasVerity()).test("leaves nothing where fs-verity is required and is not there", () => {
    const path = freshPath();
    expect(() => initRepository(path, { ...INSECURE, verity: "required" })).toThrow(
      expect.objectContaining({ code: "verity-missing" }),
    );
    expect(existsSync(path)).toBe(false);
    mkdirSync(path);
    expect(() => initRepository(path, { ...INSECURE, verity: "required" })).toThrow(/meta.json/);
    expect(readdirSync(path)).toEqual([]);
    expect(measureVerity(openat(AT_FDCWD, path, O_RDONLY))).toBeUndefined();
  });

  test("upgrades an old repository when asked to ensure, and not when it is another", async () => {
    const repository = newRepository("sha256");
    const transaction = repository.begin();
    transaction.putStream(byteString("id"), noise(10));
    await transaction.commit();
    const { path } = repository;
    repository.close();
    rmSync(join(path, "meta.json"));
    const wanted: InitOptions = { ...INSECURE, algorithm: "sha256", ensure: true };
    expect(() => initRepository(path, { ...wanted, algorithm: "sha512" })).toThrow(CONFLICT);
    expect(() => initRepository(path, { ...wanted, verity: "required" })).toThrow(CONFLICT);
    expect(existsSync(join(path, "meta.json"))).toBe(false);
    expect(initRepository(path, wanted).outcome).toBe("upgraded");
    expect(initRepository(path, wanted).outcome).toBe("already");
  });

  test("resets: keeps the objects, removes all names, may change everything else", async () => {
    const repository = newRepository("sha256");
    const transaction = repository.begin();
    transaction.putStream(byteString("id"), noise(10));
    transaction.putImage(noise(20));
    transaction.setRef("streams", byteString("a/b"), byteString("id"));
    await transaction.commit();
    const { path } = repository;
    const objects = listing(path, "objects");
    const reset: InitOptions = { ...INSECURE, resetMetadata: true };
    expect(() => initRepository(path, reset)).toThrow(
      expect.objectContaining({ code: "repository-busy" }),
    );
    repository.close();
    expect(initRepository(path, reset).outcome).toBe("created");
    expect(listing(path, "objects")).toEqual(objects);
    expect(readdirSync(path).sort()).toEqual(["meta.json", "objects"]);
    expect(Repository.open(path).algorithm).toBe("sha512");
  });

  test("refuses what is damaged, rather than to write over it", () => {
    const path = freshPath();
    mkdirSync(path);
    writeFileSync(join(path, "meta.json"), "{");
    for (const options of [INSECURE, { ...INSECURE, ensure: true }]) {
      expect(() => initRepository(path, options)).toThrow(
        expect.objectContaining({ code: "repository-invalid" }),
      );
    }
    expect(initRepository(path, { ...INSECURE, resetMetadata: true }).outcome).toBe("created");
  });
});

describe("the lock of a repository", () => {
  test("is shared while it is open; what removes waits or is told", () => {
    const repository = newRepository();
    const other = Repository.open(repository.path, { lock: "try" });
    const fd = openat(AT_FDCWD, repository.path, O_RDONLY);
    expect(flock(fd, "exclusive", { wait: false })).toBe(false);
    repository.close();
    expect(flock(fd, "exclusive", { wait: false })).toBe(false);
    other.close();
    expect(flock(fd, "exclusive", { wait: false })).toBe(true);
    expect(() => Repository.open(repository.path, { lock: "try" })).toThrow(
      expect.objectContaining({ code: "repository-busy" }),
    );
    close(fd);
    Repository.open(repository.path, { lock: "try" }).close();
  });
});
