/** What GNU tar and Python's tarfile write, read here and compared with the files themselves. */

import { spawnSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { needs, needsThat } from "../../support/needs.ts";
import { run } from "../../support/run.ts";
import { readArchive } from "../../support/tar-bytes.ts";
import type { ReadEntry } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";

const hasGnuTar = String(spawnSync("tar", ["--version"]).stdout).includes("GNU tar");
const gnuTar = needsThat(hasGnuTar ? undefined : "needs GNU tar");
const hasPython = spawnSync("python3", ["-c", "import tarfile"]).status === 0;
const python = needsThat(hasPython ? undefined : "needs python3 with tarfile");

const LONG = `${"d".repeat(120)}/${"n".repeat(150)}`;
/** More pieces than an old GNU header (4) and one further block (21) hold. */
const PIECES = 40;

/** Makes files of every kind that needs no privilege. */
function makeFiles(root: string): void {
  mkdirSync(join(root, "d".repeat(120)), { recursive: true });
  writeFileSync(join(root, "small"), "hello\n");
  writeFileSync(join(root, "empty"), "");
  writeFileSync(join(root, "block"), Buffer.alloc(512, 7));
  writeFileSync(join(root, LONG), "long name\n", { mode: 0o4755 });
  writeFileSync(Buffer.from(`${root}/\xff\xfename`, "latin1"), "not UTF-8");
  symlinkSync("t".repeat(300), join(root, "symlink"));
  linkSync(join(root, "small"), join(root, "small-again"));
  makeSparse(join(root, "sparse"));
  utimesSync(join(root, "small"), 0, -5);
  utimesSync(join(root, "block"), 0, 1_234_567_890.25);
}

function makeSparse(path: string): void {
  const fd = openSync(path, "w");
  for (let i = 0; i < PIECES; i++) writeSync(fd, `piece ${i}`, 65536 * (2 * i + 1));
  ftruncateSync(fd, 10_000_000);
  closeSync(fd);
}

function byPath(entries: readonly ReadEntry[]): Map<string, ReadEntry> {
  return new Map(entries.map((entry) => [entry.path, entry]));
}

gnuTar.describe("TarReader and GNU tar", () => {
  const root = tempDir();
  beforeAll(() => makeFiles(root));

  function archiveOf(...args: string[]): Buffer {
    const done = run("tar", ["-c", ...args, "--sort=name", "-C", root, "."]);
    expect(done.stderr).toBe("");
    return done.stdout;
  }

  test.each([
    ["gnu", ["--format=gnu"]],
    ["oldgnu", ["--format=oldgnu"]],
    ["posix", ["--format=posix"]],
    ["gnu, sparse", ["--format=gnu", "-S"]],
    ["posix, sparse 0.0", ["--format=posix", "-S", "--sparse-version=0.0"]],
    ["posix, sparse 0.1", ["--format=posix", "-S", "--sparse-version=0.1"]],
    ["posix, sparse 1.0", ["--format=posix", "-S", "--sparse-version=1.0"]],
  ])("reads the files of format %s", (format, args) => {
    const bytes = archiveOf(...args);
    const { entries, replay } = readArchive(bytes, {}, 4000);
    expect(replay.equals(bytes)).toBe(true);
    const found = byPath(entries);
    expect([...found.keys()].sort()).toEqual(
      [
        "./",
        "./block",
        `./${"d".repeat(120)}/`,
        `./${LONG}`,
        "./empty",
        "./small",
        "./small-again",
        "./sparse",
        "./symlink",
        "./\xff\xfename",
      ].sort(),
    );
    for (const entry of found.values()) {
      const path = Buffer.from(`${root}/${entry.path}`.replace(/\/$/, ""), "latin1");
      const stat = lstatSync(path, { bigint: true });
      const hasFraction = format.startsWith("posix");
      const [sec, nsec] = split(stat.mtimeNs);
      expect([entry.path, entry.mtime]).toEqual([
        entry.path,
        { sec, nsec: hasFraction ? nsec : 0 },
      ]);
      expect([entry.mode, entry.uid]).toEqual([Number(stat.mode & 0o7777n), Number(stat.uid)]);
      if (entry.kind === "file") expect(entry.content.equals(readFileSync(path))).toBe(true);
    }
    expect(found.get("./small-again")).toMatchObject({ kind: "hardlink", linkPath: "./small" });
    expect(found.get("./symlink")).toMatchObject({ kind: "symlink", linkPath: "t".repeat(300) });
    const { segments, storedSize } = found.get("./sparse")!;
    if (args.includes("-S")) expect(segments!.length).toBeGreaterThanOrEqual(PIECES);
    else expect(storedSize).toBe(10_000_000);
  });

  test("reads owners and times given on the command line", () => {
    const args = ["--owner=o:4294967290", "--group=g:3000000000", "--mtime=@-86400.5"];
    for (const format of ["gnu", "posix"]) {
      const { entries } = readArchive(archiveOf(`--format=${format}`, ...args));
      expect(byPath(entries).get("./small")).toMatchObject({
        uid: 4_294_967_290,
        gid: 3_000_000_000,
        uname: "o",
        gname: "g",
        mtime: format === "gnu" ? { sec: -86401n, nsec: 0 } : { sec: -86401n, nsec: 500_000_000 },
      });
    }
  });

  needs("setfattr").test("reads xattrs byte for byte", (context) => {
    const path = join(root, "small");
    const set = run("setfattr", ["-n", "user.binary", "-v", "0x00ff80c3280a313d", path]);
    if (set.status !== 0) context.skip("the file system of the temporary directory has no xattrs");
    const bytes = archiveOf("--format=posix", "--xattrs", "--xattrs-include=*");
    run("setfattr", ["-x", "user.binary", path]);
    const { xattrs } = byPath(readArchive(bytes).entries).get("./small")!;
    expect(xattrs.get("user.binary" as never)).toEqual(
      Uint8Array.of(0x00, 0xff, 0x80, 0xc3, 0x28, 0x0a, 0x31, 0x3d),
    );
  });
});

gnuTar.describe("TarReader and GNU tar as root", () => {
  needs("root").test("reads devices and pipes", () => {
    const root = tempDir();
    for (const [name, ...numbers] of [["c", "4", "300"], ["b", "8", "17"], ["p"]] as const) {
      const made = run("mknod", [join(root, name), name, ...numbers]);
      expect(made.status).toBe(0);
    }
    const { entries } = readArchive(run("tar", ["-c", "-C", root, "c", "b", "p"]).stdout);
    expect(entries.map(({ kind, major, minor }) => [kind, major, minor])).toEqual([
      ["chardev", 4, 300],
      ["blockdev", 8, 17],
      ["fifo", 0, 0],
    ]);
  });
});

python.describe("TarReader and Python's tarfile", () => {
  const script = `
import io, sys, tarfile
out = io.BytesIO()
tar = tarfile.open(fileobj=out, mode="w", format=getattr(tarfile, sys.argv[1]))
info = tarfile.TarInfo("dir/" + "n" * 200)
info.size, info.uid, info.mtime = 3, 3000000000, -1.5
if sys.argv[1] == "PAX_FORMAT":
    info.pax_headers = {"SCHILY.xattr.user.a": "v"}
tar.addfile(info, io.BytesIO(b"abc"))
tar.close()
sys.stdout.buffer.write(out.getvalue())
`;

  test.each(["PAX_FORMAT", "GNU_FORMAT"])("reads %s", (format) => {
    const bytes = run("python3", ["-c", script, format]).stdout;
    const { entries } = readArchive(bytes);
    const isPax = format === "PAX_FORMAT";
    expect(entries).toMatchObject([
      {
        path: `dir/${"n".repeat(200)}`,
        uid: 3_000_000_000,
        mtime: isPax ? { sec: -2n, nsec: 500_000_000 } : { sec: expect.any(BigInt), nsec: 0 },
        content: Buffer.from("abc"),
      },
    ]);
    expect(entries[0]!.xattrs.size).toBe(isPax ? 1 : 0);
  });
});

/** Whole seconds, rounded down, and the nanoseconds above them. */
function split(nanoseconds: bigint): [bigint, number] {
  const rest = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return [(nanoseconds - rest) / 1_000_000_000n, Number(rest)];
}
