import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import type { ByteString } from "#src/core/mod.ts";
import { mountComposefs, unmount } from "#src/mount/mod.ts";
import type { MountRequest } from "#src/mount/mod.ts";
import { machineState } from "../support/machine-state.ts";
import type { MachineState } from "../support/machine-state.ts";
import { needs } from "../support/needs.ts";
import { makeSample, unmountAll } from "./sample.ts";
import type { Sample } from "./sample.ts";

let sample: Sample;
let before: MachineState;

beforeEach(() => {
  sample = makeSample();
  before = machineState(sample.directory);
});
afterEach(() => unmountAll(sample.directory));

function below(name: string): ByteString {
  return byteString(`${sample.directory}/${name}`);
}

/** What a request is refused with; fails if it is not, or if something is left. */
function refusal(change: Partial<MountRequest>): { code: string; message: string; hint: unknown } {
  let refused: unknown;
  try {
    mountComposefs({ ...sample.request, ...change });
  } catch (error) {
    refused = error;
  }
  expect(refused).toBeInstanceOf(Error);
  expect(machineState(sample.directory)).toEqual(before);
  return refused as { code: string; message: string; hint: unknown };
}

/** Writes a changed copy of the image. */
function changedImage(change: (bytes: Buffer) => Buffer | void): { image: ByteString } {
  const bytes = readFileSync(sample.image);
  writeFileSync(`${sample.directory}/changed`, change(bytes) ?? bytes);
  return { image: below("changed") };
}

needs("root", "mount", "erofs", "overlay").describe(
  "mountComposefs refuses, and leaves nothing:",
  () => {
    test("a missing image", () => {
      expect(refusal({ image: below("nothing") })).toMatchObject({
        code: "mount-failed",
        message: expect.stringMatching(/nothing" on .*: no such file or directory/),
      });
    });

    test("a directory as the image", () => {
      expect(refusal({ image: below("objects") }).message).toMatch(/the image is not a file/);
    });

    test("a named pipe as the image, without waiting for it", () => {
      execFileSync("mkfifo", [below("pipe")]);
      expect(refusal({ image: below("pipe") }).message).toMatch(/the image is not a file/);
    });

    test("a file that is not EROFS", () => {
      writeFileSync(below("text"), "text".repeat(1000));
      expect(refusal({ image: below("text") }).code).toBe("not-erofs");
    });

    test("images cut anywhere in the headers", () => {
      for (const length of [0, 1, 31, 32, 1023, 1024, 1027]) {
        const cut = changedImage((bytes) => bytes.subarray(0, length));
        expect({ length, code: refusal(cut).code }).toEqual({ length, code: "not-erofs" });
      }
    });

    test("an EROFS image without the composefs header", () => {
      const image = changedImage((bytes) => void bytes.fill(0, 0, 32));
      expect(refusal(image).code).toBe("not-composefs");
    });

    test("a composefs header of another version", () => {
      const image = changedImage((bytes) => void bytes.writeUInt32LE(2, 4));
      expect(refusal(image)).toMatchObject({
        code: "unsupported-image",
        message: expect.stringContaining("version 2"),
      });
    });

    test("a super block that the kernel does not take, with where to read why", () => {
      const image = changedImage((bytes) => void bytes.writeUInt8(33, 1024 + 12)); // blkszbits
      expect(refusal(image)).toMatchObject({
        code: "mount-failed",
        message: expect.stringMatching(/: invalid argument \(fsconfig "create": EINVAL\)$/),
        hint: "The kernel log may say why: see dmesg",
      });
    });

    test("a missing target", () => {
      expect(refusal({ target: below("nothing") }).message).toMatch(
        /on ".*\/nothing": no such file or directory \(open/,
      );
    });

    test("a file as the target", () => {
      expect(refusal({ target: below("image.cfs") }).message).toMatch(
        /the target is not a directory$/,
      );
    });

    test("a symbolic link as the target, even one to a directory", () => {
      symlinkSync("target", below("symlink"));
      expect(refusal({ target: below("symlink") })).toMatchObject({
        code: "mount-failed",
        message: expect.stringMatching(/the target is a symbolic link$/),
        hint: "Name the directory that it leads to",
      });
    });

    test("a basedir, upperdir or workdir that is missing or no directory", () => {
      const [good, missing, file] = [below("objects"), below("nothing"), below("image.cfs")];
      for (const [bad, reason] of [
        [missing, /nothing": ENOENT/],
        [file, /image.cfs": ENOTDIR/],
      ] as const) {
        expect(refusal({ basedirs: [good, bad] }).message).toMatch(reason);
        expect(refusal({ upperdir: bad, workdir: good }).message).toMatch(reason);
        expect(refusal({ upperdir: good, workdir: bad }).message).toMatch(reason);
      }
    });

    test("upperdir and workdir that overlayfs does not take together", () => {
      mkdirSync(below("upper/work"), { recursive: true });
      expect(refusal({ upperdir: below("upper"), workdir: below("upper/work") })).toMatchObject({
        code: "mount-failed",
        hint: "The kernel log may say why: see dmesg",
      });
    });

    test("an ID mapping that is missing or no user namespace", () => {
      expect(refusal({ idmap: below("nothing") }).message).toMatch(/ENOENT/);
      expect(refusal({ idmap: below("image.cfs") }).message).toMatch(/as a user namespace/);
      expect(refusal({ idmap: byteString("/proc/self/ns/mnt") }).message).toMatch(
        /as a user namespace/,
      );
    });

    test("the initial user namespace as an ID mapping, which the kernel does not allow", () => {
      expect(refusal({ idmap: byteString("/proc/self/ns/user") })).toMatchObject({
        code: "mount-failed",
        message: expect.stringContaining("mount_setattr"),
      });
    });

    test("a path with a zero byte", () => {
      expect(refusal({ target: byteString(`${sample.directory}/target\0x`) }).code).toBe(
        "mount-failed",
      );
    });
  },
);

needs("root", "mount", "erofs", "overlay").describe("unmount", () => {
  test("says that nothing is mounted", () => {
    expect(() => unmount(sample.request.target)).toThrow(
      /^Cannot unmount ".*": not a mount point$/,
    );
  });

  test("says that there is no such directory", () => {
    expect(() => unmount(below("nothing"))).toThrow(/: no such file or directory$/);
  });

  test("does not follow a symbolic link", () => {
    mountComposefs(sample.request);
    symlinkSync("target", below("symlink"));
    expect(() => unmount(below("symlink"))).toThrow(/not a mount point/);
    unmount(sample.request.target);
    expect(machineState(sample.directory)).toEqual(before);
  });

  test("refuses a mount that is in use, unless it is to be detached", () => {
    mountComposefs(sample.request);
    const fd = openSync(`${sample.target}/inline`, "r");
    try {
      expect(() => unmount(sample.request.target)).toThrow(
        expect.objectContaining({ code: "mount-failed", hint: expect.stringContaining("fuser") }),
      );
      unmount(sample.request.target, { detach: true });
      expect(machineState(sample.directory).mounts).toEqual([]);
      expect(readFileSync(fd, "utf8")).toBe("inline");
    } finally {
      closeSync(fd);
    }
    expect(machineState(sample.directory)).toEqual(before);
  });
});

needs("plain user").test("mountComposefs: says that mounting needs root", () => {
  expect(refusal({})).toMatchObject({
    code: "mount-failed",
    hint: expect.stringContaining("root"),
  });
});
