import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { computeFsVerityDigest, digestBytes } from "#src/core/mod.ts";
import {
  AT_FDCWD,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  blockHash,
  cloneFile,
  close,
  enableVerity,
  measureVerity,
  openat,
} from "#src/floor/mod.ts";
import { tempDir } from "../support/temp.ts";

describe("enableVerity, measureVerity", () => {
  test("either the file system has none, or the kernel's digest is ours", () => {
    const path = join(tempDir(), "f");
    const content = Buffer.alloc(10_000, "content");
    writeFileSync(path, content);
    const fd = openat(AT_FDCWD, path, O_RDONLY);
    expect(measureVerity(fd)).toBeUndefined();
    const outcome = enableVerity(fd, "sha256");
    const digest = digestBytes(computeFsVerityDigest(content, blockHash("sha256")));
    expect({ outcome, measured: measureVerity(fd) }).toEqual(
      outcome === "unsupported"
        ? { outcome, measured: undefined }
        : { outcome: "enabled", measured: { algorithm: "sha256", digest } },
    );
    close(fd);
  });

  test("a descriptor that is no file is an error", () => {
    expect(() => enableVerity(-1, "sha256")).toThrow("EBADF");
    expect(() => measureVerity(-1)).toThrow("EBADF");
  });
});

describe("cloneFile", () => {
  test("either the file system cannot share extents, or the content is the same", () => {
    const dir = tempDir();
    writeFileSync(join(dir, "from"), "content");
    const from = openat(AT_FDCWD, join(dir, "from"), O_RDONLY);
    const to = openat(AT_FDCWD, join(dir, "to"), O_CREAT | O_RDWR, 0o600);
    const cloned = cloneFile(from, to);
    expect(readFileSync(join(dir, "to"), "utf8")).toBe(cloned ? "content" : "");
    close(from);
    close(to);
  });

  test("files of two file systems cannot share extents", () => {
    const from = openat(AT_FDCWD, "/proc/self/status", O_RDONLY);
    const to = openat(AT_FDCWD, join(tempDir(), "to"), O_CREAT | O_RDWR, 0o600);
    expect(cloneFile(from, to)).toBe(false);
    close(from);
    close(to);
  });
});
