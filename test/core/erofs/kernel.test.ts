/** The same image through the kernel and through the reader: name for name, field for field. */

import { spawnSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { memorySource, openImage } from "#src/core/mod.ts";
import type { ErofsImage, ErofsInode } from "#src/core/mod.ts";
import { isDirectory, isFile, isSymlink } from "#src/core/erofs/reader.ts";
import { AT_FDCWD, getXattrAt, listXattrsAt } from "#src/floor/mod.ts";
import { needs } from "../../support/needs.ts";
import { tempDir } from "../../support/temp.ts";
import { sampleImage } from "./sample.ts";

/** What the kernel shows of xattrs; it hides names that it has no handler for. */
const SHOWN = /^(user|trusted|security)\./;

interface Seen {
  readonly path: string;
  readonly stat: Readonly<Record<string, bigint>>;
  readonly xattrs: Readonly<Record<string, string>>;
  readonly data: string | undefined;
}

const TYPE: Readonly<Record<ErofsInode["kind"], number>> = {
  fifo: 0o010000,
  chardev: 0o020000,
  directory: 0o040000,
  blockdev: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

/** The kernel's 32-bit device number (`new_decode_dev`), as `stat` shows it. */
function shownDevice(rdev: number): bigint {
  const major = (rdev & 0xfff00) >> 8;
  const minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
  return (BigInt(major) << 8n) | BigInt((minor & 0xff) | ((minor & ~0xff) << 12));
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("latin1");
}

function* throughReader(image: ErofsImage, path: string, inode: ErofsInode): Generator<Seen> {
  const isDevice = inode.kind === "chardev" || inode.kind === "blockdev";
  const xattrs = image.rawXattrs(inode).filter(({ name }) => SHOWN.test(name));
  yield {
    path,
    stat: {
      mode: BigInt(TYPE[inode.kind] | inode.mode),
      nlink: BigInt(inode.nlink),
      uid: BigInt(inode.uid),
      gid: BigInt(inode.gid),
      size: BigInt(inode.size),
      ino: BigInt(inode.nid),
      rdev: isDevice ? shownDevice(inode.u) : 0n,
      mtimeNs: inode.mtime.sec * 1_000_000_000n + BigInt(inode.mtime.nsec),
    },
    xattrs: Object.fromEntries(
      xattrs.map(({ name, value }) => [name, Buffer.from(value).toString("latin1")]),
    ),
    data: isSymlink(inode)
      ? image.readlink(inode)
      : isFile(inode)
        ? textOf(image.content(inode))
        : undefined,
  };
  if (!isDirectory(inode)) return;
  for (const { name, nid } of image.entries(inode)) {
    yield* throughReader(image, `${path}/${name}`, image.inode(nid));
  }
}

function* throughKernel(mountPoint: string, path: string): Generator<Seen> {
  const full = Buffer.from(mountPoint + path, "latin1");
  const stat = lstatSync(full, { bigint: true });
  const { mode, nlink, uid, gid, size, ino, rdev, mtimeNs } = stat;
  const names = listXattrsAt(AT_FDCWD, mountPoint + path);
  yield {
    path,
    stat: { mode, nlink, uid, gid, size, ino, rdev, mtimeNs },
    xattrs: Object.fromEntries(
      names
        .filter((name) => SHOWN.test(name))
        .map((name) => {
          const value = getXattrAt(AT_FDCWD, mountPoint + path, name);
          return [name, Buffer.from(value).toString("latin1")];
        }),
    ),
    data: stat.isSymbolicLink()
      ? readlinkSync(full, { encoding: "latin1" })
      : stat.isFile() && size <= 4096n
        ? readFileSync(full).toString("latin1")
        : undefined,
  };
  if (!stat.isDirectory()) return;
  for (const name of readdirSync(full, { encoding: "latin1" }).sort((a, b) => (a < b ? -1 : 1))) {
    yield* throughKernel(mountPoint, `${path}/${name}`);
  }
}

needs("root", "mount", "erofs", "loop").describe("ErofsImage", () => {
  const mounted: string[] = [];
  const mountPoints = new Map<number, string>();

  beforeAll(() => {
    for (const version of [0, 1, 2] as const) {
      const directory = tempDir();
      const mountPoint = `${directory}/mnt`;
      mkdirSync(mountPoint);
      writeFileSync(`${directory}/image`, sampleImage(version));
      const options = ["-t", "erofs", "-o", "ro,loop", `${directory}/image`, mountPoint];
      const done = spawnSync("mount", options, { encoding: "utf8" });
      if (done.status !== 0) throw new Error(`mount failed: ${done.stderr}`);
      mounted.push(mountPoint);
      mountPoints.set(version, mountPoint);
    }
  });

  afterAll(() => {
    for (const mountPoint of mounted) spawnSync("umount", [mountPoint]);
  });

  test.each([0, 1, 2] as const)("shows of V%i what the kernel shows", (version) => {
    const image = openImage(memorySource(sampleImage(version)));
    const ours = [...throughReader(image, "", image.root())];
    expect(ours.length).toBeGreaterThan(80);
    // Of files that are not inline the kernel alone shows data: holes, or in V2 whatever stands in
    // the place of the chunk table. Below an overlay nobody sees it.
    const elsewhere = new Set(
      ours.filter(({ data }) => data === undefined).map(({ path }) => path),
    );
    const theirs = [...throughKernel(mountPoints.get(version)!, "")].map((seen) =>
      elsewhere.has(seen.path) ? { ...seen, data: undefined } : seen,
    );
    expect(ours).toEqual(theirs);
  });
});
