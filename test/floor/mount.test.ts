import { statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  AT_FDCWD,
  FsContextError,
  O_DIRECTORY,
  O_PATH,
  close,
  fsconfigCreate,
  fsconfigSetFlag,
  fsconfigSetString,
  fsmount,
  fsopen,
  isErrno,
  mount,
  moveMount,
  openat,
  takeKernelMessages,
  umount2,
} from "#src/floor/mod.ts";
import { isCloseOnExec, mountsBelow } from "../support/machine-state.ts";
import { needs } from "../support/needs.ts";
import { tempDir } from "../support/temp.ts";

function thrown(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

function withContext<T>(fsName: string, body: (context: number) => T): T {
  const context = fsopen(fsName);
  try {
    return body(context);
  } finally {
    close(context);
  }
}

needs("root", "mount", "overlay").describe("file system contexts", () => {
  test("fsopen: the context is close-on-exec", () => {
    expect(withContext("overlay", isCloseOnExec)).toBe(true);
  });

  test("fsopen: an unknown file system is ENODEV and named", () => {
    expect(thrown(() => fsopen("nosuchfs"))).toMatchObject({
      errnoName: "ENODEV",
      subject: "nosuchfs",
    });
  });

  test("fsconfig: an unknown option is refused in the kernel's own words", () => {
    withContext("overlay", (context) => {
      const error = thrown(() => fsconfigSetString(context, "nonsense", "x"));
      expect(error).toBeInstanceOf(FsContextError);
      expect(error).toMatchObject({
        errnoName: "EINVAL",
        subject: "nonsense",
        kernelMessages: ["overlay: Unknown parameter 'nonsense'"],
        message: expect.stringMatching(/\(EINVAL\): overlay: Unknown parameter 'nonsense'$/),
      });
    });
  });

  test("fsconfig: the messages of one failure do not show up in the next", () => {
    withContext("overlay", (context) => {
      thrown(() => fsconfigSetFlag(context, "first"));
      const second = thrown(() => fsconfigSetFlag(context, "second")) as FsContextError;
      expect(second.kernelMessages).toEqual(["overlay: Unknown parameter 'second'"]);
      expect(takeKernelMessages(context)).toEqual([]);
    });
  });

  test("fsconfig: control characters in a message are replaced", () => {
    withContext("overlay", (context) => {
      const error = thrown(() => fsconfigSetFlag(context, "a\x1b[2Jb")) as FsContextError;
      expect(error.kernelMessages).toEqual(["overlay: Unknown parameter 'a?[2Jb'"]);
    });
  });

  test("fsconfig: a value of 255 bytes is taken, one of 256 is EINVAL", () => {
    withContext("overlay", (context) => {
      expect(() => fsconfigSetString(context, "source", "x".repeat(255))).not.toThrow();
    });
    withContext("overlay", (context) => {
      const error = thrown(() => fsconfigSetString(context, "source", "x".repeat(256)));
      expect(isErrno(error, "EINVAL")).toBe(true);
    });
  });
});

needs("root", "mount").describe("mounts", () => {
  test("fsmount: the mount is attached nowhere until moveMount, and goes with its descriptor", () => {
    const directory = tempDir();
    const target = openat(AT_FDCWD, directory, O_PATH | O_DIRECTORY);
    const mounted = withContext("tmpfs", (context) => {
      fsconfigCreate(context);
      return fsmount(context, 0);
    });
    expect(isCloseOnExec(mounted)).toBe(true);
    expect(mountsBelow(directory)).toEqual([]);
    moveMount(mounted, target);
    expect(mountsBelow(directory)).toHaveLength(1);
    close(mounted);
    close(target);
    umount2(directory, 0);
    expect(mountsBelow(directory)).toEqual([]);
  });

  test("mount: follows the path of a descriptor, and umount2 takes the mount away", () => {
    const directory = tempDir();
    const target = openat(AT_FDCWD, directory, O_PATH | O_DIRECTORY);
    mount("name", `/proc/self/fd/${target}`, "tmpfs", 0, "mode=0711");
    close(target);
    expect(statSync(directory).mode & 0o777).toBe(0o711);
    umount2(directory, 0);
    expect(mountsBelow(directory)).toEqual([]);
  });

  test("umount2: names the directory that is no mount point", () => {
    const directory = tempDir();
    expect(thrown(() => umount2(directory, 0))).toMatchObject({
      errnoName: "EINVAL",
      subject: directory,
    });
  });
});

describe("paths of mount calls", () => {
  test("a zero byte is refused before the kernel could act on the shorter name", () => {
    expect(thrown(() => umount2("/mnt\0/x", 0))).toMatchObject({ errnoName: "EINVAL" });
    expect(thrown(() => mount("a\0b", "/mnt", "tmpfs", 0, ""))).toMatchObject({
      errnoName: "EINVAL",
    });
  });
});
