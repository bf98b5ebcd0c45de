import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createAtomicFile } from "#src/floor/mod.ts";
import { tempDir } from "../support/temp.ts";

describe("createAtomicFile", () => {
  test("nothing has the name before the commit, everything after it", () => {
    const dir = tempDir();
    const file = createAtomicFile(join(dir, "image"));
    file.write(Buffer.from("first "));
    file.write(Buffer.from("second"));
    expect(readdirSync(dir).includes("image")).toBe(false);
    file.commit();
    expect(readFileSync(join(dir, "image"), "utf8")).toBe("first second");
    expect(readdirSync(dir)).toEqual(["image"]);
    expect(statSync(join(dir, "image")).mode & 0o777).toBe(0o666 & ~process.umask());
  });

  test("what is discarded leaves the old file and nothing else", () => {
    const dir = tempDir();
    writeFileSync(join(dir, "image"), "old");
    const file = createAtomicFile(join(dir, "image"));
    file.write(Buffer.from("new"));
    file.discard();
    file.discard();
    expect(readFileSync(join(dir, "image"), "utf8")).toBe("old");
    expect(readdirSync(dir)).toEqual(["image"]);
  });

  test("what is written behind stands in its order, also on a device", async () => {
    const dir = tempDir();
    const pieces = Array.from({ length: 40 }, (_, i) => Buffer.alloc(100_000 + i, i));
    for (const path of [join(dir, "image"), "/dev/null"]) {
      const file = createAtomicFile(path);
      for (const piece of pieces) file.writeBehind(piece);
      await file.settle();
      file.write(Buffer.from("end"));
      file.commit();
    }
    const written = readFileSync(join(dir, "image"));
    expect(written.equals(Buffer.concat([...pieces, Buffer.from("end")]))).toBe(true);
  });

  test("what cannot be written behind is told when it is waited for", async () => {
    const limited = `
      import { createAtomicFile } from "#src/floor/mod.ts";
      process.on("SIGXFSZ", () => {});
      const file = createAtomicFile(process.argv[1]);
      file.writeBehind(Buffer.alloc(1 << 20));
      file.writeBehind(Buffer.alloc(1 << 20));
      await file.settle().catch((error) => console.log(error.message));
      file.discard();`;
    const dir = tempDir();
    const node = `exec "${process.execPath}" --input-type=module -e '${limited}' "${join(dir, "image")}"`;
    const done = spawnSync("bash", ["-c", `ulimit -f 64; ${node}`], { encoding: "utf8" });
    expect([done.stdout, done.stderr]).toEqual(["Cannot write: file too large (EFBIG)\n", ""]);
    expect(readdirSync(dir)).toEqual([]);
  });

  test("an old file is replaced; who has it open keeps it", () => {
    const dir = tempDir();
    writeFileSync(join(dir, "image"), "old");
    const inode = statSync(join(dir, "image")).ino;
    const file = createAtomicFile(join(dir, "image"));
    file.write(Buffer.from("new"));
    file.commit();
    expect(readFileSync(join(dir, "image"), "utf8")).toBe("new");
    expect(statSync(join(dir, "image")).ino).not.toBe(inode);
  });

  test("a symlink is followed, also one that points nowhere yet", () => {
    const dir = tempDir();
    mkdirSync(join(dir, "sub"));
    symlinkSync("sub/image", join(dir, "link"));
    const file = createAtomicFile(join(dir, "link"));
    file.write(Buffer.from("content"));
    file.commit();
    expect(readFileSync(join(dir, "sub/image"), "utf8")).toBe("content");
    expect(readdirSync(dir).sort()).toEqual(["link", "sub"]);
  });

  test("a directory, a missing directory and a circle of symlinks are refused", () => {
    const dir = tempDir();
    symlinkSync("circle", join(dir, "circle"));
    expect(() => createAtomicFile(dir)).toThrow("EISDIR");
    expect(() => createAtomicFile(`${dir}/missing/image`)).toThrow("ENOENT");
    expect(() => createAtomicFile(`${dir}/image/`)).toThrow("EISDIR");
    expect(() => createAtomicFile(join(dir, "circle"))).toThrow("ELOOP");
    expect(readdirSync(dir)).toEqual(["circle"]);
  });

  test("a device is written, never replaced", () => {
    const file = createAtomicFile("/dev/null");
    file.write(Buffer.from("content"));
    file.commit();
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  test("a process that is killed leaves nothing", () => {
    const dir = tempDir();
    const door = new URL("../../dist/floor/mod.js", import.meta.url).href;
    const script = `
      import { createAtomicFile } from ${JSON.stringify(door)};
      createAtomicFile(${JSON.stringify(join(dir, "image"))}).write(new Uint8Array(100000));
      process.kill(process.pid, "SIGKILL");`;
    const done = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect(done.signal).toBe("SIGKILL");
    expect(readdirSync(dir)).toEqual([]);
  });
});
