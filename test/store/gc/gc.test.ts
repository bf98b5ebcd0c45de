/** Garbage collection over repositories made by hand. */

import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import type { FsVerityDigest } from "#src/core/mod.ts";
import { collectGarbage, executeGc, planGc } from "#src/store/gc/mod.ts";
import type { CollectOptions, GcPlan } from "#src/store/gc/mod.ts";
import { SampleRepository } from "../sample.ts";

const NOW = Date.now();
const NO_MOUNTS = { images: new Map(), unidentified: [], foreignImages: [] };

async function collect(
  repository: SampleRepository,
  options: Partial<CollectOptions> = {},
): Promise<GcPlan> {
  return collectGarbage(repository, { now: NOW, findMounts: () => NO_MOUNTS, ...options });
}

/** A tagged image of two layers, as composefs-rs names its parts. */
function taggedImage(repository: SampleRepository, tag: string): FsVerityDigest[] {
  const files = [1, 2, 3].map((n) => repository.put(`${tag} file ${n}`));
  const shared = repository.put("shared by all");
  const layers = [
    repository.stream(`oci-layer-${tag}-a`, { objects: [files[0]!, shared], inline: tag }),
    repository.stream(`oci-layer-${tag}-b`, { objects: [files[1]!, files[2]!], inline: tag }),
  ];
  const image = repository.image([...files, shared]);
  const json = repository.put(`{"config of": "${tag}"}`);
  const config = repository.stream(`oci-config-${tag}`, {
    objects: [json],
    refs: [
      ["a", layers[0]!],
      ["b", layers[1]!],
      ["composefs.image.v1", image],
    ],
  });
  const manifestJson = repository.put(`{"manifest of": "${tag}"}`);
  const manifest = repository.stream(`oci-manifest-${tag}`, {
    objects: [manifestJson],
    refs: [
      ["config:x", config],
      ["a", layers[0]!],
      ["b", layers[1]!],
    ],
  });
  repository.ref("streams", `oci/${tag}`, `oci-manifest-${tag}`);
  return [...files, ...layers, image, json, config, manifestJson, manifest, shared];
}

test("gc: an empty repository has nothing to remove", async () => {
  const plan = await collect(new SampleRepository());
  expect(plan.objects.length).toBe(0);
  expect(plan.links).toEqual([]);
  expect(plan.damage).toEqual([]);
});

test("gc: everything that a ref leads to stays, by way of streams, configs and images", async () => {
  const repository = new SampleRepository();
  const needed = taggedImage(repository, "kept");
  const before = repository.files();
  const plan = await collect(repository);
  expect(repository.files()).toEqual(before);
  expect(plan.kept.objects).toBe(needed.length);
});

test("gc: what no ref leads to goes, the names before the objects", async () => {
  const repository = new SampleRepository("sha512");
  const kept = taggedImage(repository, "kept");
  const gone = taggedImage(repository, "gone");
  rmSync(repository.at("streams/refs/oci/gone"));
  const garbage = repository.put("nobody's");
  const plan = await collect(repository);
  expect([...plan.objects].sort()).toEqual([...gone.slice(0, -1), garbage].sort());
  expect(plan.linkCount).toEqual({ streams: 4, images: 1 });
  expect(repository.objects()).toEqual(kept.sort());
  expect(repository.files().filter((file) => file.includes("gone"))).toEqual([]);
});

test("gc: the dry run is the plan and changes nothing", async () => {
  const repository = new SampleRepository();
  taggedImage(repository, "gone");
  rmSync(repository.at("streams/refs/oci/gone"));
  const before = repository.files();
  const dry = await collect(repository, { dryRun: true });
  expect(repository.files()).toEqual(before);
  const real = await collect(repository);
  expect([...real.objects]).toEqual([...dry.objects]);
  expect(real.links).toEqual(dry.links);
  expect(real.bytes).toBe(dry.bytes);
  expect(repository.objects()).toEqual([]);
});

test("gc: images/<digest> alone keeps nothing; a ref to it does", async () => {
  const repository = new SampleRepository();
  const file = repository.put("content of the kept one");
  const kept = repository.image([file], "some/deep/name");
  const other = repository.image([repository.put("content of the other one")]);
  const plan = await collect(repository);
  expect(repository.objects()).toEqual([file, kept].sort());
  expect(plan.links).toEqual([`images/${other}`]);
});

test("gc: roots by name stay, streams and images", async () => {
  const repository = new SampleRepository();
  const file = repository.put("of the stream");
  const stream = repository.stream("some-stream", { objects: [file] });
  const inImage = repository.put("of the image");
  const image = repository.image([inImage]);
  repository.put("garbage");
  await collect(repository, { roots: [byteString("some-stream"), image as never] });
  expect(repository.objects()).toEqual([file, stream, image, inImage].sort());
});

test("gc: a root that is not there is an error, before anything goes", async () => {
  const repository = new SampleRepository();
  repository.put("garbage");
  await expect(collect(repository, { roots: [byteString("mistyped")] })).rejects.toMatchObject({
    code: "not-in-repository",
  });
  expect(repository.objects()).toHaveLength(1);
});

test("gc: a stream that is referred to without a name of its own is followed", async () => {
  const repository = new SampleRepository();
  const file = repository.put("needed by a nameless layer");
  const layer = repository.put(repository.streamBytes({ objects: [file] }));
  repository.stream("top", { refs: [["layer", layer]] });
  repository.ref("streams", "top", "top");
  await collect(repository);
  expect(repository.objects()).toContain(file);
});

test("gc: streams that refer to each other in a ring, and to themselves, end", async () => {
  // A stream cannot hold its own digest; with an object in its place it can seem to.
  const repository = new SampleRepository();
  const a = repository.stream("a", { inline: "a" });
  const b = repository.stream("b", { refs: [["a", a]] });
  writeFileSync(
    repository.objectFile(a),
    repository.streamBytes({
      refs: [
        ["b", b],
        ["a", a],
      ],
    }),
  );
  repository.ref("streams", "b", "b");
  const plan = await collect(repository);
  expect(plan.damage.map(({ what }) => what)).toEqual(["stream a"]);
  expect(repository.objects()).toHaveLength(2);
});

test("gc: a thousand streams below each other do not use up the stack", async () => {
  const repository = new SampleRepository();
  let below = repository.put("at the bottom");
  let stream = repository.stream("s0", { objects: [below] });
  for (let n = 1; n < 1000; n++) stream = repository.stream(`s${n}`, { refs: [["r", stream]] });
  repository.ref("streams", "top", "s999");
  below = repository.put("garbage");
  const plan = await collect(repository);
  expect([...plan.objects]).toEqual([below]);
});

describe("gc: files that do not belong", () => {
  test("are reported and left alone, wherever they are", async () => {
    const repository = new SampleRepository();
    taggedImage(repository, "kept");
    const strange = [
      "objects/README",
      "objects/aa/README",
      `objects/aa/${"b".repeat(61)}`,
      `objects/aa/${"B".repeat(62)}`,
      "streams/README",
      "images/README",
    ];
    mkdirSync(repository.at("objects/aa"), { recursive: true });
    for (const file of strange) writeFileSync(repository.at(file), "what is this");
    mkdirSync(repository.at("objects", "aa", "c".repeat(62)));
    symlinkSync("/etc/passwd", repository.at("objects", "aa", "d".repeat(62)));
    symlinkSync("/etc", repository.at("objects", "ab"));
    symlinkSync("/etc/passwd", repository.at("streams/passwd"));
    symlinkSync("loop", repository.at("streams/loop"));
    mkdirSync(repository.at("streams/directory"));
    const before = repository.files();
    const plan = await collect(repository);
    expect(plan.strange.map(({ path }) => path).sort()).toEqual(
      [
        ...strange,
        `objects/aa/${"c".repeat(62)}`,
        `objects/aa/${"d".repeat(62)}`,
        "objects/ab",
        "streams/passwd",
        "streams/loop",
        "streams/directory",
      ].sort(),
    );
    expect(plan.damage).toEqual([]);
    expect(repository.files()).toEqual(before);
  });

  test("among the refs are no reason to stop, unless composefs-rs would take them for refs", async () => {
    const repository = new SampleRepository();
    const garbage = repository.put("garbage");
    const kept = repository.stream("kept", {});
    writeFileSync(repository.at("streams/refs/README"), "");
    symlinkSync("/nowhere", repository.at("streams/refs/absolute"));
    symlinkSync("/elsewhere/kept", repository.at("streams/refs/odd"));
    const plan = await collect(repository);
    expect(plan.damage).toEqual([]);
    expect([...plan.objects]).toEqual([garbage]);
    expect(plan.strange.map(({ path }) => path)).toEqual([
      "streams/refs/README",
      "streams/refs/absolute",
      "streams/refs/odd",
    ]);
    expect(repository.objects()).toEqual([kept]);
  });

  test("a link in the place of a directory of refs may hide some: nothing goes", async () => {
    const repository = new SampleRepository();
    repository.put("garbage");
    rmSync(repository.at("streams/refs"), { recursive: true });
    symlinkSync("/", repository.at("streams/refs"));
    const plan = await collect(repository);
    expect(plan.damage).toMatchObject([{ what: "ref streams/refs" }]);
    expect(repository.objects()).toHaveLength(1);
  });

  test("a link in the place of streams/ hides all roots: nothing goes", async () => {
    const repository = new SampleRepository();
    repository.put("garbage");
    rmSync(repository.at("streams"), { recursive: true });
    symlinkSync("/", repository.at("streams"));
    const plan = await collect(repository);
    expect(plan.damage).toMatchObject([{ what: "ref streams" }]);
    expect(repository.objects()).toHaveLength(1);
  });

  test("a link in the place of objects/ is an error", async () => {
    const repository = new SampleRepository();
    rmSync(repository.at("objects"), { recursive: true });
    symlinkSync("/usr", repository.at("objects"));
    await expect(collect(repository)).rejects.toMatchObject({ code: "syscall-failed" });
  });
});

describe("gc: unfinished files", () => {
  const names = [
    ".tmp0123456789ab",
    ".symlink-abcdefghijkl",
    "objects/.tmp0123456789ab",
    "objects/00/.tmpAbC123",
    "objects/00/.tmp-object-aZ3aZ3aZ3aZ3",
    "streams/.symlink-abcdefghijkl",
    "streams/refs/oci/.symlink-abcdefghijkl",
  ];

  function make(repository: SampleRepository, age: number): void {
    mkdirSync(repository.at("objects/00"), { recursive: true });
    mkdirSync(repository.at("streams/refs/oci"), { recursive: true });
    for (const name of names) {
      writeFileSync(repository.at(name), "half");
      utimesSync(repository.at(name), NOW / 1000 - age, NOW / 1000 - age);
    }
  }

  test("go when nobody has touched them for an hour", async () => {
    const repository = new SampleRepository();
    make(repository, 3700);
    const plan = await collect(repository);
    expect([...plan.temporary].sort()).toEqual([...names].sort());
    expect(repository.files()).toEqual(["meta.json"]);
  });

  test("stay while they are young", async () => {
    const repository = new SampleRepository();
    make(repository, 3000);
    const plan = await collect(repository);
    expect(plan.temporary).toEqual([]);
    expect(plan.strange).toEqual([]);
    expect(repository.files()).toHaveLength(1 + names.length);
  });
});

describe("gc: damage", () => {
  test("a stream that cannot be read holds everything that it could need; giving it up frees that", async () => {
    const repository = new SampleRepository();
    const kept = taggedImage(repository, "kept");
    const damaged = taggedImage(repository, "damaged");
    const garbage = repository.put("garbage");
    const layer = damaged[3]!;
    writeFileSync(repository.objectFile(layer), "not what it was");
    const before = repository.files();
    const plan = await collect(repository);
    expect(plan.damage).toMatchObject([
      { what: "stream oci-layer-damaged-a", neededBy: "streams/refs/oci/damaged" },
    ]);
    expect(plan.objects.length).toBe(0);
    // The garbage, and a file that is named by this layer and by an image that is not read for that.
    expect(plan.held.objects).toBe(2);
    expect(repository.files()).toEqual(before);
    const second = await collect(repository, { giveUpDamaged: true });
    expect([...second.objects]).toEqual([garbage]);
    // The image is there, and so is what it needs.
    for (const digest of [...kept, ...damaged]) expect(repository.objects()).toContain(digest);
  });

  test("one flipped bit in a list of digests costs no object", async () => {
    const repository = new SampleRepository();
    const objects = [1, 2, 3].map((n) => repository.put(`file ${n}`));
    const stream = repository.stream("s", { objects });
    repository.ref("streams", "s", "s");
    const bytes = repository.read(stream);
    for (let at = 112; at < bytes.length; at += 7) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      writeFileSync(repository.objectFile(stream), flipped);
      const plan = await collect(repository);
      expect(plan.damage).toHaveLength(1);
      expect(repository.objects()).toHaveLength(4);
    }
  });

  test("a stream, an image, an entry that is missing: held, and the others are untouched", async () => {
    const repository = new SampleRepository();
    taggedImage(repository, "kept");
    const damaged = taggedImage(repository, "damaged");
    const image = repository.image([repository.put("in the image")], "image");
    repository.put("garbage");
    rmSync(repository.objectFile(damaged[4]!));
    rmSync(repository.objectFile(image));
    rmSync(repository.at("streams/oci-manifest-kept"));
    const before = repository.files();
    const plan = await collect(repository);
    expect(plan.damage.map(({ what }) => what).sort()).toEqual([
      `image ${image}`,
      "ref streams/refs/oci/kept",
      "stream oci-layer-damaged-b",
    ]);
    expect(repository.files()).toEqual(before);
  });

  test("refs that lead to nothing go when they are given up", async () => {
    const repository = new SampleRepository();
    repository.ref("streams", "oci/dead", "oci-manifest-dead");
    const plan = await collect(repository, { giveUpDamaged: true });
    expect(plan.links).toEqual(["streams/refs/oci/dead"]);
    expect(repository.files()).toEqual(["meta.json"]);
  });

  test("an entry that leads to nothing and that nothing needs goes", async () => {
    const repository = new SampleRepository();
    const object = repository.put("x");
    repository.link("streams", "dead", object);
    rmSync(repository.objectFile(object));
    const plan = await collect(repository);
    expect(plan.links).toEqual(["streams/dead"]);
    expect(repository.files()).toEqual(["meta.json"]);
  });

  test("a file in an image that is missing is no reason to hold anything", async () => {
    const repository = new SampleRepository();
    const file = repository.put("will be lost");
    repository.image([file], "image");
    rmSync(repository.objectFile(file));
    const garbage = repository.put("garbage");
    const plan = await collect(repository);
    expect([...plan.objects]).toEqual([garbage]);
  });

  test("random bytes as streams and images are damage, never a crash", async () => {
    for (let round = 0; round < 50; round++) {
      const repository = new SampleRepository();
      const bytes = randomBytes(round * 40);
      if (round % 2 === 0) bytes.write("SplitStream", 0, "latin1");
      const digest = repository.put(bytes);
      repository.link("streams", "s", digest);
      repository.link("images", digest, digest);
      repository.ref("streams", "s", "s");
      repository.ref("images", "i", digest);
      const plan = await collect(repository);
      expect(plan.damage.length).toBeGreaterThan(0);
      repository.close();
    }
  });
});

describe("gc: live mounts", () => {
  test("an image that is mounted stays with its objects, though no ref leads to it", async () => {
    const repository = new SampleRepository();
    const file = repository.put("mounted");
    const image = repository.image([file]);
    repository.image([repository.put("not mounted")]);
    const mounts = { ...NO_MOUNTS, images: new Map([[image, "/mnt"]]) };
    await collect(repository, { findMounts: () => mounts });
    expect(repository.objects()).toEqual([file, image].sort());
  });

  test("a mount that may be of any image keeps all images", async () => {
    const repository = new SampleRepository();
    repository.image([repository.put("one"), repository.put("two")]);
    repository.image([repository.put("three")]);
    const garbage = repository.put("garbage");
    const mounts = { ...NO_MOUNTS, unidentified: ["/mnt"] };
    const plan = await collect(repository, { findMounts: () => mounts });
    expect([...plan.objects]).toEqual([garbage]);
  });

  test("a mount of an image that is not here keeps all objects", async () => {
    const repository = new SampleRepository();
    repository.put("who knows");
    const mounts = { ...NO_MOUNTS, foreignImages: ["/mnt"] };
    const plan = await collect(repository, { findMounts: () => mounts });
    expect(plan.held.objects).toBe(1);
    expect(repository.objects()).toHaveLength(1);
  });
});

describe("gc: notes of where images came from", () => {
  const manifestDigest = (n: number): string => `sha256:${String(n).repeat(64)}`;

  function noted(repository: SampleRepository): void {
    mkdirSync(repository.at("origins"));
    for (const n of [1, 2, 3]) {
      writeFileSync(repository.at("origins", manifestDigest(n)), `docker://host/name:${n}\n`);
    }
    repository.stream(`oci-manifest-${manifestDigest(1)}`, { inline: "kept" });
    repository.ref("streams", "oci/kept", `oci-manifest-${manifestDigest(1)}`);
    repository.stream(`oci-manifest-${manifestDigest(2)}`, { inline: "without a tag" });
  }

  test("go with the streams of the manifests they are about", async () => {
    const repository = new SampleRepository();
    noted(repository);
    const dry = await collect(repository, { dryRun: true });
    const plan = await collect(repository);
    expect(plan.origins).toEqual([2, 3].map((n) => `origins/${manifestDigest(n)}`));
    expect(dry.origins).toEqual(plan.origins);
    const notes = repository.files().filter((file) => file.startsWith("origins/"));
    expect(notes).toEqual([`origins/${manifestDigest(1)}`]);
  });

  test("stay while damage holds objects: a repair may need them", async () => {
    const repository = new SampleRepository();
    noted(repository);
    repository.ref("streams", "oci/lost", `oci-manifest-${manifestDigest(3)}`);
    const before = repository.files();
    expect((await collect(repository)).origins).toEqual([]);
    expect(repository.files()).toEqual(before);
  });

  test("are regular files named by a digest: all else is left alone", async () => {
    const repository = new SampleRepository();
    mkdirSync(repository.at("origins", manifestDigest(4)), { recursive: true });
    symlinkSync("elsewhere", repository.at("origins", manifestDigest(5)));
    writeFileSync(repository.at("origins/README"), "");
    const elsewhere = new SampleRepository();
    noted(elsewhere);
    const linked = new SampleRepository();
    symlinkSync(elsewhere.at("origins"), linked.at("origins"));
    for (const each of [repository, linked]) {
      const before = each.files();
      expect((await collect(each)).origins).toEqual([]);
      expect(each.files()).toEqual(before);
    }
    expect(elsewhere.files()).toContain(`origins/${manifestDigest(2)}`);
  });
});

test("gc: an abort stops it, and what is left is sound", async () => {
  const repository = new SampleRepository();
  const kept = taggedImage(repository, "kept");
  for (let n = 0; n < 200; n++)
    repository.stream(`dead-${n}`, { objects: [repository.put(`${n}`)], inline: `${n}` });
  const plan = await planGc(repository, { now: NOW, findMounts: () => NO_MOUNTS });
  const controller = new AbortController();
  controller.abort(new Error("enough"));
  await expect(executeGc(repository, plan, { signal: controller.signal })).rejects.toThrow(
    "enough",
  );
  for (const digest of kept) expect(repository.objects()).toContain(digest);
  const again = await collect(repository);
  expect(again.damage).toEqual([]);
  expect(repository.objects()).toEqual(kept.sort());
});

test("gc: others who have the repository open are waited for, and not for ever", async () => {
  const repository = new SampleRepository();
  repository.put("garbage");
  const writer = new SampleRepository("sha256", repository.directory);
  let waits = 0;
  const options = { waitMilliseconds: 100, onWait: () => waits++ };
  await expect(collect(repository, options)).rejects.toMatchObject({ code: "repository-busy" });
  expect(waits).toBe(1);
  expect(repository.objects()).toHaveLength(1);
  const waiting = collect(repository, { waitMilliseconds: 60_000, onWait: () => writer.close() });
  await waiting;
  expect(repository.objects()).toEqual([]);
});
