import { spawn } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { ComposefsError, byteString, ociDigestHex } from "#src/core/mod.ts";
import { openImageSource, resolveImage } from "#src/sources/mod.ts";
import { collect, describeImageSource } from "../../suites/image-source.ts";
import { ociArchive, ociArchiveMembers } from "../../support/image-archives.ts";
import { needs } from "../../support/needs.ts";
import { compressLayer, makeImage } from "../../support/oci-image.ts";
import { run } from "../../support/run.ts";
import { archive, header, member, padded, pax } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";
import { findLibzstd } from "../../support/zstd.ts";

const libzstd = await findLibzstd();

function fileOf(bytes: Uint8Array): string {
  const file = join(tempDir(), "image.tar");
  writeFileSync(file, bytes);
  return file;
}

describeImageSource("oci-archive: plain", {
  keepsBytes: true,
  open: (image) => openImageSource(`oci-archive:${fileOf(ociArchive(image, "v1"))}:v1`),
});

describeImageSource("oci-archive: compressed with gzip", {
  keepsBytes: true,
  open: (image) => openImageSource(`oci-archive:${fileOf(gzipSync(ociArchive(image)))}`),
});

if (libzstd !== undefined) {
  describeImageSource("oci-archive: compressed with zstd", {
    keepsBytes: true,
    image: { algorithm: "sha512", compression: ["zstd"] },
    open: async (image) =>
      openImageSource(`oci-archive:${fileOf(await compressLayer(ociArchive(image), "zstd"))}`),
  });
}

async function readAll(file: string): Promise<string> {
  const source = await openImageSource(`oci-archive:${file}`);
  try {
    const { manifest } = await resolveImage(source);
    for (const blob of [manifest.config, ...manifest.layers]) await collect(source.openBlob(blob));
    return "read";
  } finally {
    await source.close();
  }
}

async function answerTo(bytes: Uint8Array): Promise<string> {
  try {
    return await readAll(fileOf(bytes));
  } catch (error) {
    if (error instanceof ComposefsError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

describe("oci-archive: hostile and broken archives", () => {
  test("names that lead out are refused", async () => {
    const members = ociArchiveMembers(await makeImage());
    for (const name of ["../evil", "/etc/passwd", "a/../../evil", ".", "blobs/.."]) {
      expect(await answerTo(archive(...members, member({ name }, "x")))).toMatch(
        /^corrupt-archive: .*leads out of it/,
      );
    }
    expect(await answerTo(archive(...members, member({ name: "./a/./../b" }, "x")))).toBe("read");
  });

  test("links that lead out, or nowhere, are refused", async () => {
    const image = await makeImage();
    const members = ociArchiveMembers(image);
    const link = (typeflag: string, linkname: string): Buffer =>
      header({ name: "a/link", typeflag, linkname });
    for (const one of [
      link("2", "/etc/passwd"),
      link("2", "../../etc/passwd"),
      link("1", "../etc/passwd"),
      link("1", "/etc/passwd"),
    ]) {
      expect(await answerTo(archive(...members, one))).toMatch(/^corrupt-archive: .*leads out/);
    }
    const hex = ociDigestHex(image.descriptor.digest);
    const circle = [
      ...members.filter((one) => !one.includes(`blobs/sha256/${hex}`)),
      header({ name: `blobs/sha256/${hex}`, typeflag: "2", linkname: "../../other" }),
      header({ name: "other", typeflag: "2", linkname: `blobs/sha256/${hex}` }),
    ];
    expect(await answerTo(archive(...circle))).toMatch(/^corrupt-archive: .*without an end/);
  });

  test("blobs behind links are found", async () => {
    const image = await makeImage();
    const members = ociArchiveMembers(image);
    const hex = ociDigestHex(image.descriptor.digest);
    const moved = [
      ...members.filter((one) => !one.includes(`blobs/sha256/${hex}`)),
      header({ name: `blobs/sha256/${hex}`, typeflag: "2", linkname: "../../there" }),
      header({ name: "there", typeflag: "1", linkname: "manifest" }),
      member({ name: "./manifest" }, image.manifest),
    ];
    expect(await answerTo(archive(...moved))).toBe("read");
  });

  test("a name that is there twice is refused", async () => {
    const members = ociArchiveMembers(await makeImage());
    const second = member({ name: "./index.json" }, '{"schemaVersion":2,"manifests":[]}');
    expect(await answerTo(archive(...members, second))).toMatch(/^corrupt-archive: .*twice/);
  });

  test("devices, pipes and sparse files are refused", async () => {
    const members = ociArchiveMembers(await makeImage());
    for (const typeflag of ["3", "4", "6"]) {
      const device = header({ name: "device", typeflag });
      expect(await answerTo(archive(...members, device))).toMatch(/^corrupt-archive: .*is a /);
    }
    const sparse = Buffer.concat([
      pax([
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.name", "sparse"],
        ["GNU.sparse.realsize", "1000000"],
      ]),
      header({ name: "x", size: 512 }),
      padded("0\n"),
    ]);
    expect(await answerTo(archive(...members, sparse))).toMatch(/is a sparse file/);
  });

  test("a cut at any of many places is an error of ours, or the whole image", async () => {
    const whole = ociArchive(await makeImage({ layers: [Buffer.alloc(1024)] }));
    const answers = new Set<string>();
    for (let length = whole.length; length >= 0; length -= 101) {
      answers.add((await answerTo(whole.subarray(0, length))).split(":")[0]!);
    }
    expect([...answers].sort()).toEqual(["corrupt-archive", "corrupt-tar", "read"]);
  });

  test("a flipped bit anywhere is an error of ours, or does no harm", async () => {
    const whole = ociArchive(await makeImage({ layers: [Buffer.alloc(1024)] }));
    const answers = new Set<string>();
    for (let at = 0; at < whole.length; at += 23) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 1 << (at % 8);
      answers.add((await answerTo(bytes)).split(":")[0]!);
    }
    for (const code of ["read", "content-mismatch", "corrupt-tar", "corrupt-archive"]) {
      expect([...answers]).toContain(code);
    }
  });

  test("a cut of a compressed archive is an error", async () => {
    const whole = gzipSync(ociArchive(await makeImage()));
    for (let i = 1; i < 20; i++) {
      const cut = whole.subarray(0, Math.floor((i * whole.length) / 20));
      expect(await answerTo(cut)).toMatch(/^corrupt-archive/);
    }
  });

  test("endless compression ends at the limit, and leaves no file", async () => {
    const bomb = fileOf(gzipSync(Buffer.alloc(50 << 20)));
    const directory = tempDir();
    const options = { archiveSizeMax: 1 << 20, temporaryDirectory: byteString(directory) };
    await expect(openImageSource(`oci-archive:${bomb}`, options)).rejects.toMatchObject({
      code: "tar-limit",
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test("too many entries, and headers without an end, are refused", async () => {
    const many = Buffer.alloc(512 * 100_001);
    const one = header({ name: "d/", typeflag: "5" });
    for (let at = 0; at < many.length; at += 512) many.set(one, at);
    expect(await answerTo(many)).toMatch(/^tar-limit/);
  });

  test("what is no archive, and what nobody here can read, is refused", async () => {
    expect(await answerTo(Buffer.from("hello"))).toMatch(/^corrupt-tar/);
    expect(await answerTo(Buffer.from("BZh91AY&SY"))).toMatch(/^corrupt-archive: .*bzip2/);
    expect(await answerTo(Buffer.alloc(0))).toMatch(/^corrupt-archive: .*oci-layout is missing/);
  });
});

test("oci-archive: comes through a pipe as well", async () => {
  const file = fileOf(ociArchive(await makeImage()));
  const pipe = join(tempDir(), "pipe");
  expect(run("mkfifo", [pipe]).status).toBe(0);
  const writer = spawn("cat", [file], { stdio: ["ignore", "pipe", "inherit"] });
  const sink = spawn("sh", ["-c", 'exec cat > "$0"', pipe], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  writer.stdout.pipe(sink.stdin);
  expect(await readAll(pipe)).toBe("read");
});

needs("skopeo").test("oci-archive: skopeo's is read", async () => {
  const image = await makeImage();
  const file = fileOf(ociArchive(image, "v1"));
  const copy = join(tempDir(), "copy.tar");
  const done = run("skopeo", [
    "copy",
    "--insecure-policy",
    "--quiet",
    `oci-archive:${file}:v1`,
    `oci-archive:${copy}:v2`,
  ]);
  expect(done.stderr).toBe("");
  expect(await readAll(`${copy}:v2`)).toBe("read");
});
