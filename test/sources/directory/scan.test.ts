import { createServer } from "node:net";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import type { ByteString, Directory } from "#src/core/mod.ts";
import { scanDirectory } from "#src/sources/mod.ts";
import type { ScanOptions, ScanProgress } from "#src/sources/mod.ts";
import { needs } from "../../support/needs.ts";
import { run } from "../../support/run.ts";
import { tempDir } from "../../support/temp.ts";
import {
  digestOfFile,
  dumpOf,
  makeDeep,
  must,
  nodeAt,
  nodePath,
  noise,
  pathsOf,
  roomyTempDir,
  setXattr,
} from "./support.ts";

/** What a descriptor stands for; nothing if it is closed by now. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

async function scan(path: string, options: ScanOptions = {}): Promise<Directory> {
  return (await scanDirectory(byteString(path), { threads: 1, ...options })).root;
}

describe("scanDirectory: names and kinds", () => {
  test("names of any bytes are kept, at any depth", async () => {
    const dir = tempDir();
    const odd = "\xff\xfe\n \\\x01\xc3\xa9";
    mkdirSync(nodePath(`${dir}/${odd}`));
    mkdirSync(nodePath(`${dir}/${odd}/sub`));
    writeFileSync(nodePath(`${dir}/${odd}/sub/${odd}`), "x");
    writeFileSync(nodePath(`${dir}/${"n".repeat(255)}`), "x");
    const root = await scan(dir);
    expect(pathsOf(root)).toEqual([
      "/",
      `/${"n".repeat(255)}`,
      `/${odd}`,
      `/${odd}/sub`,
      `/${odd}/sub/${odd}`,
    ]);
  });

  test("an empty directory is a tree", async () => {
    const { root, counts } = await scanDirectory(byteString(tempDir()));
    expect(root.entries.size).toBe(0);
    expect(counts).toMatchObject({ directories: 1, leaves: 0, externalFiles: 0 });
  });

  test("symlinks are kept and never followed, whatever they point to", async () => {
    const dir = tempDir();
    symlinkSync("/etc/passwd", join(dir, "file"));
    symlinkSync("/usr", join(dir, "directory"));
    symlinkSync(nodePath("\xff\xfe"), join(dir, "bytes"));
    symlinkSync("x".repeat(4000), join(dir, "long"));
    const root = await scan(dir);
    expect(nodeAt(root, "/file")).toMatchObject({ kind: "symlink", target: "/etc/passwd" });
    expect(nodeAt(root, "/directory")).toMatchObject({ kind: "symlink", target: "/usr" });
    expect(nodeAt(root, "/bytes")).toMatchObject({ kind: "symlink", target: "\xff\xfe" });
    expect(nodeAt(root, "/long")).toMatchObject({ kind: "symlink", target: "x".repeat(4000) });
  });

  test("fifos and sockets are read without being opened", async () => {
    const dir = tempDir();
    must("mkfifo", join(dir, "fifo"));
    const server = createServer().listen(join(dir, "socket"));
    await new Promise((resolve) => server.once("listening", resolve));
    const root = await scan(dir);
    server.close();
    expect(nodeAt(root, "/fifo")).toMatchObject({ kind: "fifo", claimedSize: 0 });
    expect(nodeAt(root, "/socket")).toMatchObject({ kind: "socket", claimedSize: 0 });
  });

  needs("root").test("devices and whiteouts are kept, or left out when told", async () => {
    const dir = tempDir();
    must("mknod", join(dir, "null"), "c", "1", "3");
    must("mknod", join(dir, "disk"), "b", "8", "300");
    must("mknod", join(dir, "whiteout"), "c", "0", "0");
    const root = await scan(dir);
    expect(nodeAt(root, "/null")).toMatchObject({ kind: "chardev", rdev: 0x103 });
    expect(nodeAt(root, "/disk")).toMatchObject({ kind: "blockdev", rdev: 0x10082c });
    expect(nodeAt(root, "/whiteout")).toMatchObject({ kind: "chardev", rdev: 0 });
    expect(pathsOf(await scan(dir, { skipDevices: true }))).toEqual(["/"]);
  });

  test("the root must be a directory; a symlink is one only with a slash behind it", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "file"), "x");
    symlinkSync(".", join(dir, "link"));
    for (const name of ["file", "link"]) {
      await expect(scan(join(dir, name))).rejects.toMatchObject({
        code: "source-unreadable",
        message: `Cannot read "${join(dir, name)}": it is not a directory`,
      });
    }
    expect(pathsOf(await scan(`${dir}/link/`))).toEqual(["/", "/file", "/link"]);
    await expect(scan(join(dir, "missing"))).rejects.toMatchObject({
      code: "source-unreadable",
      message: `Cannot read "${join(dir, "missing")}": it does not exist`,
    });
  });
});

describe("scanDirectory: stat", () => {
  test("mode, owner and times are the file's, also before 1970", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "f"), "x");
    chmodSync(join(dir, "f"), 0o4711);
    must("touch", "-d", "1965-03-04 05:06:07.123456789 UTC", join(dir, "f"));
    must("touch", "-d", "2200-01-01 00:00:00.5 UTC", dir);
    const root = await scan(dir);
    expect(nodeAt(root, "/f").kind === "file" && nodeAt(root, "/f")).toMatchObject({
      nlink: 1,
      stat: {
        mode: 0o4711,
        uid: process.getuid!(),
        gid: process.getgid!(),
        mtime: { sec: BigInt(Date.UTC(1965, 2, 4, 5, 6, 7) / 1000), nsec: 123456789 },
      },
    });
    expect(root.stat.mtime).toEqual({ sec: BigInt(Date.UTC(2200, 0, 1) / 1000), nsec: 500000000 });
  });

  test("useEpoch makes all times zero, the root's too", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "d"));
    writeFileSync(join(dir, "d/f"), "x");
    const root = await scan(dir, { useEpoch: true });
    const zero = { sec: 0n, nsec: 0 };
    expect(root.stat.mtime).toEqual(zero);
    expect(nodeAt(root, "/d")).toMatchObject({ stat: { mtime: zero } });
    expect(nodeAt(root, "/d/f")).toMatchObject({ stat: { mtime: zero } });
  });

  needs("root").test("owners above 65535 are kept", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "f"), "");
    must("chown", "4000000000:3000000000", join(dir, "f"));
    expect(nodeAt(await scan(dir), "/f")).toMatchObject({
      stat: { uid: 4000000000, gid: 3000000000 },
    });
  });
});

describe("scanDirectory: xattrs", () => {
  const attributes = needs("root", "setfattr");
  const value = Uint8Array.from({ length: 256 }, (_, i) => i);

  attributes.test("all xattrs with binary values, of every kind of node", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "d"));
    writeFileSync(join(dir, "f"), "x");
    symlinkSync("f", join(dir, "l"));
    setXattr(join(dir, "d"), "user.d", value);
    setXattr(join(dir, "f"), "user.f", value);
    setXattr(join(dir, "f"), "trusted.overlay.opaque", Buffer.from("y"));
    setXattr(join(dir, "f"), "user.empty", new Uint8Array(0));
    setXattr(join(dir, "l"), "trusted.l", value);
    setXattr(dir, "security.root", value);
    const root = await scan(dir);
    const xattrsOf = (path: string): object => {
      const node = nodeAt(root, path);
      if (node.kind === "hardlink") throw new Error("a hard link");
      return Object.fromEntries(node.stat.xattrs);
    };
    expect(xattrsOf("/")).toEqual({ "security.root": value });
    expect(xattrsOf("/d")).toEqual({ "user.d": value });
    expect(xattrsOf("/l")).toEqual({ "trusted.l": value });
    expect(xattrsOf("/f")).toEqual({
      "trusted.overlay.opaque": new Uint8Array(Buffer.from("y")),
      "user.empty": new Uint8Array(0),
      "user.f": value,
    });
  });

  attributes.test("skipXattrs leaves out all, userXattrs all but user.*", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "f"), "x");
    setXattr(join(dir, "f"), "user.f", value);
    setXattr(join(dir, "f"), "trusted.f", value);
    const namesOf = async (options: ScanOptions): Promise<ByteString[]> => {
      const node = nodeAt(await scan(dir, options), "/f");
      return node.kind === "file" ? [...node.stat.xattrs.keys()] : [];
    };
    expect(await namesOf({ skipXattrs: true })).toEqual([]);
    expect(await namesOf({ userXattrs: true })).toEqual(["user.f"]);
    await expect(scan(dir, { skipXattrs: true, userXattrs: true })).rejects.toMatchObject({
      code: "usage",
    });
  });
});

describe("scanDirectory: content", () => {
  test("up to 64 bytes are inline, more are external, at every boundary", async () => {
    const dir = tempDir();
    const block = 4096;
    const sizes = [
      0,
      1,
      63,
      64,
      65,
      block - 1,
      block,
      block + 1,
      127 * block,
      128 * block,
      128 * block + 1,
      129 * block - 1,
      (1 << 23) - 1,
      1 << 23,
      (1 << 23) + 1,
      (1 << 23) + 128 * block + 17,
    ];
    for (const size of sizes) writeFileSync(join(dir, `${size}`), noise(size, size));
    const digestStore = byteString(join(tempDir(), "store"));
    const all: ScanOptions[] = [{}, { digestStore }, { algorithm: "sha512" }];
    for (const options of all) {
      const root = await scan(dir, options);
      for (const size of sizes) {
        const node = nodeAt(root, `/${size}`);
        if (node.kind !== "file") throw new Error("not a file");
        if (size <= 64) {
          expect(node.content).toEqual({ kind: "inline", data: new Uint8Array(noise(size, size)) });
        } else {
          const digest = digestOfFile(join(dir, `${size}`), options.algorithm);
          const path = `${digest.slice(0, 2)}/${digest.slice(2)}`;
          expect(node.content).toEqual({ kind: "external", size, path, digest });
        }
      }
    }
  });

  test("a file of holes has the digest of its zeros", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "holes"), "");
    truncateSync(join(dir, "holes"), 3_000_000);
    expect(nodeAt(await scan(dir), "/holes")).toMatchObject({
      content: { digest: digestOfFile(join(dir, "holes")) },
    });
  });

  test("reading changes no time of the tree", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "f"), noise(5000, 1));
    utimesSync(dir, 1000, 1000);
    const before = run("stat", ["-c", "%Y %Z", dir, join(dir, "f")]).stdout.toString();
    await scan(dir, { digestStore: byteString(join(tempDir(), "store")) });
    expect(run("stat", ["-c", "%Y %Z", dir, join(dir, "f")]).stdout.toString()).toBe(before);
  });
});

describe("scanDirectory: hard links", () => {
  function linkedTree(): string {
    const dir = tempDir();
    mkdirSync(join(dir, "a"));
    mkdirSync(join(dir, "b"));
    writeFileSync(join(dir, "z"), noise(100, 1));
    linkSync(join(dir, "z"), join(dir, "b/1"));
    linkSync(join(dir, "z"), join(dir, "a/2"));
    writeFileSync(join(dir, "outside"), noise(100, 2));
    linkSync(join(dir, "outside"), join(tempDir(), "elsewhere"));
    symlinkSync("target", join(dir, "symlink"));
    linkSync(join(dir, "symlink"), join(dir, "symlink2"));
    return dir;
  }

  test("unless told every name is a file of its own with one link", async () => {
    const root = await scan(linkedTree());
    for (const path of ["/z", "/a/2", "/b/1", "/outside", "/symlink", "/symlink2"]) {
      expect(nodeAt(root, path)).toMatchObject({ nlink: 1 });
    }
  });

  test("with hardlinks the first name in byte order is the leaf, and its links are counted", async () => {
    const root = await scan(linkedTree(), { hardlinks: true });
    const leaf = nodeAt(root, "/a/2");
    expect(leaf).toMatchObject({ kind: "file", nlink: 3 });
    expect(nodeAt(root, "/b/1")).toEqual({ kind: "hardlink", target: leaf });
    expect(nodeAt(root, "/z")).toEqual({ kind: "hardlink", target: leaf });
    expect(nodeAt(root, "/outside")).toMatchObject({ kind: "file", nlink: 1 });
    expect(nodeAt(root, "/symlink")).toMatchObject({ kind: "symlink", nlink: 2 });
    expect(nodeAt(root, "/symlink2")).toMatchObject({ kind: "hardlink" });
  });
});

describe("scanDirectory: threads", () => {
  test("the tree is the same with one thread and with several", async () => {
    const dir = roomyTempDir();
    for (let d = 0; d < 40; d++) {
      mkdirSync(join(dir, `${d}`));
      for (let f = 0; f < 60; f++) {
        writeFileSync(join(dir, `${d}/${f}`), noise((d * 61 + f * 37) % 9000, d + f));
      }
    }
    writeFileSync(join(dir, "large"), noise(20_000_000, 3));
    const want = dumpOf(await scan(dir));
    for (const threads of [2, 5]) expect(dumpOf(await scan(dir, { threads }))).toBe(want);
    const digestStore = byteString(join(roomyTempDir(), "store"));
    expect(dumpOf(await scan(dir, { threads: 3, digestStore }))).toBe(want);
  });

  test("directories nested deeper than a path may be long are read", async () => {
    const dir = roomyTempDir();
    makeDeep(dir, 900);
    const { counts } = await scanDirectory(byteString(dir), { hardlinks: true });
    expect(counts).toMatchObject({ directories: 901, leaves: 0 });
  });
});

describe("scanDirectory: progress and abort", () => {
  function wideTree(): string {
    const dir = roomyTempDir();
    for (let i = 0; i < 1000; i++) writeFileSync(join(dir, `${i}`), noise(100, i));
    return dir;
  }

  test("progress grows to the number of entries and of bytes", async () => {
    const events: ScanProgress[] = [];
    const { counts } = await scanDirectory(byteString(wideTree()), {
      threads: 1,
      onProgress: (event) => events.push(event),
    });
    expect(counts).toMatchObject({ directories: 1, leaves: 1000, externalBytes: 100_000 });
    expect(events.at(-1)).toEqual({
      phase: "digest",
      files: 1001,
      bytes: 100_000,
      totalFiles: 1001,
    });
    for (const [index, event] of events.slice(1).entries()) {
      expect(event.files).toBeGreaterThan(events[index]!.files);
    }
  });

  test("an abort ends the scan with its reason and leaves no store", async () => {
    const dir = wideTree();
    const parent = roomyTempDir();
    const digestStore = byteString(join(parent, "new/store"));
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress = (): void => controller.abort(reason);
    const { signal } = controller;
    await expect(scan(dir, { digestStore, signal, onProgress, threads: 2 })).rejects.toBe(reason);
    expect(run("ls", ["-A", parent]).stdout.toString()).toBe("");
    await expect(scan(dir, { signal })).rejects.toBe(reason);
  });

  test("an abort does not wait for the end of a large file", async () => {
    const dir = roomyTempDir();
    writeFileSync(join(dir, "huge"), "");
    truncateSync(join(dir, "huge"), 2 ** 40);
    for (const threads of [1, 3]) {
      const reason = new Error("enough");
      const controller = new AbortController();
      const onProgress = ({ bytes }: ScanProgress): void => {
        if (bytes > 2 ** 26) controller.abort(reason);
      };
      const options = { signal: controller.signal, onProgress, threads };
      await expect(scan(dir, options)).rejects.toBe(reason);
    }
  });

  test("what a callback throws ends the scan", async () => {
    const dir = wideTree();
    writeFileSync(join(dir, "large"), noise(30_000_000, 1));
    const reason = new Error("no");
    let calls = 0;
    const onProgress = (): void => {
      if (++calls > 2) throw reason;
    };
    await expect(scan(dir, { onProgress })).rejects.toBe(reason);
    expect(calls).toBeLessThan(40);
  });

  test("a number of threads that is none is refused", async () => {
    for (const threads of [0, -1, 1.5, Number.NaN]) {
      await expect(scan(tempDir(), { threads })).rejects.toThrow(RangeError);
    }
  });

  test("no descriptor stays open, whether the scan ends well or not", async () => {
    const dir = wideTree();
    // The runtime opens some of its own; what a scan forgets has a path.
    const open = (): string[] =>
      readdirSync("/proc/self/fd")
        .map((fd) => linkOf(`/proc/self/fd/${fd}`))
        .filter((path) => path.includes("composefs-test-"));
    const before = open();
    await scan(dir, { digestStore: byteString(join(roomyTempDir(), "store")) });
    expect(open()).toEqual(before);
    const controller = new AbortController();
    const onProgress = (): void => controller.abort();
    const options = { signal: controller.signal, onProgress };
    const digestStore = byteString(join(roomyTempDir(), "store"));
    await expect(scan(dir, { ...options, digestStore })).rejects.toThrow();
    expect(open()).toEqual(before);
  });
});
