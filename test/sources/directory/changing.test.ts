import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import { scanDirectory } from "#src/sources/mod.ts";
import type { ScanOptions } from "#src/sources/mod.ts";
import { needs } from "../../support/needs.ts";
import { noise, roomyTempDir } from "./support.ts";

/** A directory of so many entries that most of them are still to be read at the first progress. */
function wideTree(): string {
  const dir = roomyTempDir();
  for (let i = 0; i < 1000; i++) writeFileSync(join(dir, `${i}`), noise(100, i));
  return dir;
}

/** Scans, and does something to the tree once the first files have been read. */
async function scanWhile(
  dir: string,
  meddle: () => void,
  options: ScanOptions = {},
): Promise<unknown> {
  let done = false;
  const onProgress = (): void => {
    if (!done) meddle();
    done = true;
  };
  return scanDirectory(byteString(dir), { threads: 1, ...options, onProgress });
}

/** What may be said when entries of `dir` vanish. */
const VANISHED = {
  code: "source-changed",
  message: expect.stringMatching(/^Cannot read ".*\/\d+": it vanished while the tree was read$/),
};

describe("scanDirectory: a tree that changes", () => {
  test("a file that vanishes is named, and no store is left", async () => {
    const dir = wideTree();
    const parent = roomyTempDir();
    const digestStore = byteString(join(parent, "store"));
    const remove = (): void => {
      for (let i = 0; i < 1000; i++) unlinkSync(join(dir, `${i}`));
    };
    await expect(scanWhile(dir, remove, { digestStore })).rejects.toMatchObject(VANISHED);
    expect(readdirSync(parent)).toEqual([]);
  });

  test("a file that vanishes is named, with several threads", async () => {
    const dir = wideTree();
    const remove = (): void => {
      for (let i = 0; i < 1000; i++) unlinkSync(join(dir, `${i}`));
    };
    await expect(scanWhile(dir, remove, { threads: 4 })).rejects.toMatchObject(VANISHED);
  });

  test("a directory that vanishes or becomes a symlink is named", async () => {
    for (const replace of [false, true]) {
      const dir = wideTree();
      for (let i = 0; i < 50; i++) {
        mkdirSync(join(dir, `d${i}`));
        for (let f = 0; f < 50; f++) writeFileSync(join(dir, `d${i}/${f}`), "x");
      }
      const meddle = (): void => {
        for (let i = 0; i < 50; i++) {
          rmSync(join(dir, `d${i}`), { recursive: true });
          if (replace) symlinkSync("/etc", join(dir, `d${i}`));
        }
      };
      await expect(scanWhile(dir, meddle)).rejects.toMatchObject({
        code: expect.stringMatching(/^source-(changed|unreadable)$/) as string,
        message: expect.stringMatching(/^Cannot read ".*": it/) as string,
      });
    }
  });

  test("a file that becomes a symlink is not followed", async () => {
    const dir = wideTree();
    const meddle = (): void => {
      for (let i = 0; i < 1000; i++) {
        unlinkSync(join(dir, `${i}`));
        symlinkSync("/etc/passwd", join(dir, `${i}`));
      }
    };
    await expect(scanWhile(dir, meddle)).rejects.toMatchObject({
      code: "source-changed",
      message: expect.stringMatching(
        /^Cannot read ".*\/\d+": it changed while it was read$/,
      ) as string,
    });
  });

  test("a directory that gets one more entry is named", async () => {
    const dir = wideTree();
    const meddle = (): void => writeFileSync(join(dir, "new"), "x");
    await expect(scanWhile(dir, meddle)).rejects.toMatchObject({
      code: "source-changed",
      message: `Cannot read "${dir}": it changed while it was read`,
    });
  });

  test("a file that is written to all the time is named, held in memory or not", async () => {
    for (const size of [8_000_000, 40_000_000]) {
      const dir = roomyTempDir();
      writeFileSync(join(dir, "log"), noise(size, 1));
      const writer = spawn("bash", [
        "-c",
        `while :; do echo x >> "$1"; done`,
        "-",
        join(dir, "log"),
      ]);
      await new Promise((resolve) => setTimeout(resolve, 50));
      // The writer may be asleep for the whole of a read, but not for fifty of them.
      let message = "";
      for (let tries = 0; tries < 50 && message === ""; tries++) {
        const digestStore = byteString(join(roomyTempDir(), "store"));
        await scanDirectory(byteString(dir), { digestStore }).catch((error: Error) => {
          message = error.message;
        });
      }
      writer.kill();
      expect(message).toBe(`Cannot read "${join(dir, "log")}": it changed while it was read`);
    }
  });
});

describe("scanDirectory: what may not be read", () => {
  needs("root").test("the file or directory is named, with the reason", async () => {
    const dir = roomyTempDir();
    chmodSync(dir, 0o755);
    mkdirSync(join(dir, "sub"));
    writeFileSync(join(dir, "sub/secret"), "secret", { mode: 0o600 });
    const asNobody = async (): Promise<unknown> => {
      process.seteuid!(65534);
      try {
        return await scanDirectory(byteString(dir), { threads: 1 });
      } finally {
        process.seteuid!(0);
      }
    };
    await expect(asNobody()).rejects.toMatchObject({
      code: "source-unreadable",
      message: `Cannot read "${dir}/sub/secret": permission denied (EACCES)`,
    });
    chmodSync(join(dir, "sub"), 0o700);
    await expect(asNobody()).rejects.toMatchObject({
      code: "source-unreadable",
      message: `Cannot read "${dir}/sub": permission denied (EACCES)`,
    });
  });

  needs("root").test("an empty file needs no permission", async () => {
    const dir = roomyTempDir();
    chmodSync(dir, 0o755);
    writeFileSync(join(dir, "empty"), "", { mode: 0 });
    process.seteuid!(65534);
    try {
      const { counts } = await scanDirectory(byteString(dir));
      expect(counts).toMatchObject({ leaves: 1 });
    } finally {
      process.seteuid!(0);
    }
  });
});
