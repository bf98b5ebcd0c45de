import { spawnSync } from "node:child_process";
import { lstatSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  AT_FDCWD,
  DT,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  SyscallError,
  close,
  createTemporaryFile,
  discardTemporaryFile,
  displayPath,
  fstat,
  lstatat,
  lstatatIfExists,
  nameTemporaryFile,
  openat,
  pread,
  preadFully,
  pwriteFully,
  readDirectory,
} from "#src/floor/mod.ts";
import { needs } from "../support/needs.ts";
import { tempDir } from "../support/temp.ts";

function open(path: string): number {
  return openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
}

/** The errno name that `work` fails with. */
function errnoOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof SyscallError) return error.errnoName;
    throw error;
  }
  return "none";
}

const EVERY_BYTE = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1))
  .join("")
  .replace("/", "");

describe("openat, readDirectory", () => {
  test("names of any bytes come back as they went", () => {
    const dir = open(tempDir());
    const names = [EVERY_BYTE, "\xff", "\xc3\xa9", "\n", "n".repeat(255), "..."];
    for (const name of names) close(openat(dir, name, O_CREAT | O_RDWR, 0o600));
    const entries = readDirectory(dir);
    close(dir);
    expect(entries.map(({ name }) => name).sort()).toEqual([...names].sort());
    expect(entries.every(({ type }) => type === DT.reg || type === DT.unknown)).toBe(true);
  });

  test("a directory larger than the buffer is read whole", () => {
    const path = tempDir();
    const dir = open(path);
    const count = 3000;
    for (let i = 0; i < count; i++) {
      close(openat(dir, `${i}-`.padEnd(60, "x"), O_CREAT | O_RDWR, 0o600));
    }
    expect(new Set(readDirectory(dir).map(({ name }) => name)).size).toBe(count);
    close(dir);
  });

  test("a path with a NUL inside is refused, not cut", () => {
    const dir = open(tempDir());
    expect(errnoOf(() => openat(dir, "a\0b", O_CREAT | O_RDWR, 0o600))).toBe("EINVAL");
    expect(readDirectory(dir)).toEqual([]);
    close(dir);
  });

  test("a path over every limit is refused", () => {
    expect(errnoOf(() => openat(AT_FDCWD, "a/".repeat(5000), O_RDONLY))).toBe("ENAMETOOLONG");
  });

  test("an error names call, path and reason", () => {
    expect(() => openat(AT_FDCWD, "/no such\x07\xff", O_RDONLY)).toThrow(
      'Cannot open "/no such\\x07\\xff": no such file or directory (ENOENT)',
    );
  });
});

describe("fstat, lstatat", () => {
  test("the fields are those that Node finds", () => {
    const path = tempDir();
    writeFileSync(join(path, "f"), "content", { mode: 0o640 });
    spawnSync("touch", ["-d", "1965-03-04 05:06:07.123456789 UTC", join(path, "f")]);
    spawnSync("ln", [join(path, "f"), join(path, "g")]);
    symlinkSync("target", join(path, "l"));
    const dir = open(path);
    for (const name of ["f", "l", "."]) {
      const want = lstatSync(join(path, name), { bigint: true });
      const stat = lstatat(dir, name);
      expect(stat.mode).toBe(Number(want.mode));
      expect(stat.size).toBe(Number(want.size));
      expect(stat.uid).toBe(Number(want.uid));
      expect(stat.gid).toBe(Number(want.gid));
      expect(stat.nlink).toBe(Number(want.nlink));
      expect(stat.ino).toBe(want.ino);
      expect(stat.dev).toBe(Number(want.dev));
      expect(stat.mtimeSec * 1_000_000_000n + BigInt(stat.mtimeNsec)).toBe(want.mtimeNs);
      expect(stat.ctimeSec * 1_000_000_000n + BigInt(stat.ctimeNsec)).toBe(want.ctimeNs);
    }
    expect(fstat(dir).ino).toBe(lstatSync(path, { bigint: true }).ino);
    close(dir);
  });

  test("a size above 2^32 and a device number are exact", () => {
    const path = join(tempDir(), "large");
    writeFileSync(path, "");
    truncateSync(path, 2 ** 33 + 5);
    expect(lstatat(AT_FDCWD, path).size).toBe(2 ** 33 + 5);
    expect(lstatat(AT_FDCWD, "/dev/null").rdev).toBe(0x103);
  });

  test("a missing name is undefined only where that was asked for", () => {
    const path = join(tempDir(), "missing");
    expect(lstatatIfExists(AT_FDCWD, path)).toBeUndefined();
    expect(errnoOf(() => lstatat(AT_FDCWD, path))).toBe("ENOENT");
  });

  test("isSameStateAs sees a change of content, of mode and of identity", () => {
    const path = tempDir();
    writeFileSync(join(path, "f"), "a");
    writeFileSync(join(path, "g"), "a");
    const before = lstatat(AT_FDCWD, join(path, "f"));
    expect(lstatat(AT_FDCWD, join(path, "f")).isSameStateAs(before)).toBe(true);
    expect(lstatat(AT_FDCWD, join(path, "g")).isSameStateAs(before)).toBe(false);
    writeFileSync(join(path, "f"), "ab");
    expect(lstatat(AT_FDCWD, join(path, "f")).isSameStateAs(before)).toBe(false);
  });
});

describe("pread, pwriteFully", () => {
  test("parts of a file are written and read in place", () => {
    const path = join(tempDir(), "f");
    const fd = openat(AT_FDCWD, path, O_CREAT | O_RDWR, 0o600);
    pwriteFully(fd, Buffer.from("xxcontentxx").subarray(2, 9), 3);
    const into = Buffer.alloc(20, "-");
    expect(preadFully(fd, into.subarray(1, 15), 3)).toBe(7);
    expect(into.toString()).toBe("-content------------");
    expect(pread(fd, into, 100)).toBe(0);
    close(fd);
    expect(readFileSync(path, "latin1")).toBe("\0\0\0content");
  });
});

describe("createTemporaryFile", () => {
  /** A file as it is made where the file system knows no O_TMPFILE. */
  function createNamed(dir: number): { fd: number; name: string } {
    return { fd: openat(dir, ".tmp1", O_CREAT | O_RDWR, 0o644), name: ".tmp1" };
  }

  for (const [kind, create] of [
    ["without a name", (dir: number) => createTemporaryFile(dir, 0o644)],
    ["with a temporary name", createNamed],
  ] as const) {
    test(`a file ${kind} gets its name once, and replaces only when told`, () => {
      const path = tempDir();
      const dir = open(path);
      for (const content of ["first", "second"]) {
        const file = create(dir);
        pwriteFully(file.fd, Buffer.from(content), 0);
        const name = (): void => nameTemporaryFile(file, dir, dir, "f", { replace: false });
        if (content === "first") {
          name();
          close(file.fd);
        } else {
          expect(errnoOf(name)).toBe("EEXIST");
          expect(readFileSync(join(path, "f"), "utf8")).toBe("first");
          nameTemporaryFile(file, dir, dir, "f", { replace: true });
          close(file.fd);
          expect(readFileSync(join(path, "f"), "utf8")).toBe("second");
        }
      }
      expect(readDirectory(dir).map(({ name }) => name)).toEqual(["f"]);
      close(dir);
    });

    test(`a file ${kind} that is discarded leaves nothing`, () => {
      const dir = open(tempDir());
      discardTemporaryFile(create(dir), dir);
      expect(readDirectory(dir)).toEqual([]);
      close(dir);
    });
  }
});

describe("displayPath", () => {
  test("shows UTF-8 as it is and everything else as bytes", () => {
    expect(displayPath("/usr/share")).toBe("/usr/share");
    expect(displayPath("\xc3\xa9")).toBe("é");
    expect(displayPath("a\x1b[2J")).toBe("a\\x1b[2J");
    expect(displayPath("\xff")).toBe("\\xff");
  });
});

needs("plain user").test("openat: says which file may not be read", () => {
  expect(errnoOf(() => openat(AT_FDCWD, "/etc/shadow", O_RDONLY))).toBe("EACCES");
});
