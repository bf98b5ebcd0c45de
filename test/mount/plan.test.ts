import { describe, expect, test } from "vitest";
import { byteString, parseFsVerityDigest } from "#src/core/mod.ts";
import { planMount } from "#src/mount/mod.ts";
import { DIGEST_OF_NOTHING } from "./sample.ts";

const request = {
  image: byteString("/images/a b.cfs"),
  target: byteString("/mnt"),
  basedirs: [byteString("/objects")],
};

describe("planMount", () => {
  test("describes a plain mount, one sentence a step", () => {
    expect(planMount(request).describe()).toEqual([
      'Open the image "/images/a b.cfs"',
      "Check that it is a composefs image",
      'Open the directory "/mnt"',
      "Mount the image as EROFS, read-only, from the file or else a loop device",
      'Mount an overlay of it with file data from "/objects"',
      'Attach the overlay to "/mnt"',
    ]);
  });

  test("describes everything that can be asked for", () => {
    const plan = planMount({
      ...request,
      image: 7,
      basedirs: [byteString("/one"), byteString("/two\n")],
      digest: parseFsVerityDigest(DIGEST_OF_NOTHING),
      upperdir: byteString("/upper"),
      workdir: byteString("/work"),
      readOnly: true,
      idmap: byteString("/proc/1/ns/user"),
    });
    expect(plan.describe()).toEqual([
      "Open the image descriptor 7",
      `Ask the kernel for the image's fs-verity digest and compare it with ${DIGEST_OF_NOTHING}`,
      "Check that it is a composefs image",
      'Open the directory "/mnt"',
      'Open the user namespace "/proc/1/ns/user"',
      'Mount the image as EROFS, read-only, from the file or else a loop device, owners mapped by "/proc/1/ns/user"',
      'Mount an overlay of it with file data from "/one", "/two\\x0a", fs-verity digests required, changes to "/upper" through "/work", read-only',
      'Attach the overlay to "/mnt"',
    ]);
  });

  test("checks the digest before anything is mounted, and on what is opened first", () => {
    const digest = parseFsVerityDigest(DIGEST_OF_NOTHING);
    const kinds = planMount({ ...request, digest }).steps.map((step) => step.kind);
    expect(kinds.slice(0, 2)).toEqual(["open-image", "check-digest"]);
  });

  test("opens nothing: a plan for what does not exist can be made and read", () => {
    const plan = planMount({ ...request, image: byteString("/does/not/exist") });
    expect(plan.describe()[0]).toBe('Open the image "/does/not/exist"');
  });

  test.each([
    ["no basedir", { basedirs: [] }],
    ["an upperdir without a workdir", { upperdir: byteString("/u") }],
    ["a workdir without an upperdir", { workdir: byteString("/w") }],
    [
      "a digest with verity off",
      { digest: parseFsVerityDigest(DIGEST_OF_NOTHING), verity: "off" as const },
    ],
  ])("refuses %s", (_, change) => {
    expect(() => planMount({ ...request, ...change })).toThrow(
      expect.objectContaining({ code: "invalid-mount-options" }),
    );
  });

  test("a digest turns try into require", () => {
    const digest = parseFsVerityDigest(DIGEST_OF_NOTHING);
    const plan = planMount({ ...request, digest, verity: "try" });
    expect(plan.steps).toContainEqual(expect.objectContaining({ verity: "require" }));
  });
});
