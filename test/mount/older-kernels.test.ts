import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { byteString, byteStringFrom, concatByteStrings } from "#src/core/mod.ts";
import type { ByteString } from "#src/core/mod.ts";
import { ERRNO, SyscallError } from "#src/floor/mod.ts";
import { executeMount, planMount, unmount } from "#src/mount/mod.ts";
import type { MountKernel, MountRequest } from "#src/mount/mod.ts";
import {
  isCloseOnExec,
  machineState,
  mountsBelow,
  openDescriptors,
} from "../support/machine-state.ts";
import type { MachineState } from "../support/machine-state.ts";
import { linuxSince } from "../support/linux.ts";
import { needs } from "../support/needs.ts";
import { KERNELS, watched } from "./older-kernels.ts";
import { EXTERNAL_CONTENT, makeSample, nodePath, unmountAll } from "./sample.ts";
import type { Sample } from "./sample.ts";

needs("root", "mount", "erofs", "overlay", "loop").describe("executeMount", () => {
  let sample: Sample;
  let request: MountRequest;
  let before: MachineState;

  beforeEach(() => {
    sample = makeSample();
    const { directory } = sample;
    mkdirSync(`${directory}/upper`);
    mkdirSync(`${directory}/work`);
    request = {
      ...sample.request,
      upperdir: byteString(`${directory}/upper`),
      workdir: byteString(`${directory}/work`),
    };
    before = machineState(directory);
  });
  afterEach(() => unmountAll(sample.directory));

  describe.each([...KERNELS])("on %s", (which, kernel) => {
    test("mounts, and leaves one mount and nothing else", () => {
      const { directory, target } = sample;
      executeMount(planMount(request), kernel);
      const mounted = machineState(directory);
      expect(mounted.mounts).toHaveLength(1);
      expect({ ...mounted, mounts: [], loopDevices: [] }).toEqual(before);
      if (which.includes("block devices")) expect(mounted.loopDevices).toHaveLength(1);
      expect(readFileSync(`${target}/directory/external`, "utf8")).toBe(EXTERNAL_CONTENT);
      expect(readFileSync(`${target}/inline`, "utf8")).toBe("inline");
      writeFileSync(`${target}/new`, "new");
      expect(readFileSync(`${directory}/upper/new`, "utf8")).toBe("new");
      unmount(request.target);
      expect(machineState(directory)).toEqual(before);
    });

    test("does not show the names of backing files", () => {
      executeMount(planMount(sample.request), kernel);
      expect(readdirSync(sample.target)).not.toContain("aa");
    });

    test("mounts read-only when asked", () => {
      executeMount(planMount({ ...request, readOnly: true }), kernel);
      expect(() => writeFileSync(`${sample.target}/new`, "")).toThrow(/EROFS/);
    });

    test("opens no descriptor that a program started meanwhile would inherit", () => {
      const inherited = openDescriptors();
      const leaky = new Set<number>();
      let most = 0;
      const check = (): void => {
        const opened = openDescriptors().filter((fd) => !inherited.includes(fd));
        most = Math.max(most, opened.length);
        for (const fd of opened) if (!isCloseOnExec(fd)) leaky.add(fd);
      };
      executeMount(planMount(request), watched(kernel, check));
      expect([...leaky]).toEqual([]);
      expect(most).toBeGreaterThanOrEqual(4);
      expect(openDescriptors()).toEqual(inherited);
    });

    test.each(["EIO", "EINVAL", "EBADF"])(
      "leaves nothing behind whichever of its calls fails with %s",
      (errnoName) => {
        const outcomes: boolean[] = [];
        for (let failing = 1; ; failing++) {
          let calls = 0;
          const faulty = watched(kernel, (call) => {
            if (++calls === failing) throw new SyscallError(call, ERRNO[errnoName]!);
          });
          const mounted = mounts(request, faulty);
          if (mounted) unmount(request.target);
          const after = machineState(sample.directory);
          expect({ failing, ...after }).toEqual({ failing, ...before });
          outcomes.push(mounted);
          if (calls < failing) break;
        }
        expect(outcomes.length).toBeGreaterThan(5);
        expect(outcomes.at(-1)).toBe(true); // the round in which no call failed
        // EIO is never a reason to try another way.
        if (errnoName === "EIO") expect(outcomes.slice(0, -1)).not.toContain(true);
      },
    );

    test.each(STRANGE_NAMES)("takes paths with %s", (_, name) => {
      const strange = strangeSample(sample, name);
      executeMount(planMount(strange), kernel);
      const target = (file: string) => nodePath(`${strange.target}/${file}`);
      expect(readFileSync(target("directory/external"), "utf8")).toBe(EXTERNAL_CONTENT);
      writeFileSync(target("new"), "new");
      expect(readFileSync(nodePath(`${strange.upperdir}/new`), "utf8")).toBe("new");
      unmount(strange.target);
      expect(machineState(sample.directory)).toEqual(before);
    });
  });

  test("without contexts an ID mapping is an error and not left out", () => {
    const kernel = KERNELS.get("a kernel without file system contexts")!;
    const idmap = byteString("/proc/self/ns/user");
    expect(() => executeMount(planMount({ ...request, idmap }), kernel)).toThrow(
      expect.objectContaining({ code: "mount-failed" }),
    );
    expect(machineState(sample.directory)).toEqual(before);
  });

  linuxSince(6, 15).test(
    "asks the kernel the newest way first and stops there when it works",
    () => {
      const calls: string[] = [];
      const kernel = watched(KERNELS.get("this kernel")!, (call) => calls.push(call));
      executeMount(planMount(sample.request), kernel);
      expect(calls.filter((call) => call === "fsopen")).toHaveLength(2);
      expect(calls).not.toContain("mount");
      expect(mountsBelow(sample.directory)).toHaveLength(1);
    },
  );
});

/** Names that some option syntax or some decoder would trip over. */
const STRANGE_NAMES: [what: string, name: ByteString][] = [
  ["commas, colons and equal signs", byteString("a,b:c::d=e,verity=off")],
  ["backslashes and quotes", byteString("a\\,b\\\\c\\:d'e\"f\\")],
  ["blanks, tabs and line ends", byteString(" a b\tc\nd ")],
  ["UTF-8", byteString("größe-文-😀")],
  ["bytes that are not UTF-8", byteStringFrom(Uint8Array.of(0xff, 0x61, 0xc3, 0x80, 0xfe))],
  ["more than 255 bytes", byteString(`${"long/".repeat(60)}end`)],
];

/** Moves every directory of the sample below one of the given name. */
function strangeSample(sample: Sample, name: ByteString) {
  const parent = concatByteStrings(byteString(`${sample.directory}/`), name);
  mkdirSync(nodePath(parent), { recursive: true });
  const below = (file: string): ByteString => concatByteStrings(parent, byteString(`/${file}`));
  for (const directory of ["target", "upper", "work"]) mkdirSync(nodePath(below(directory)));
  symlinkSync(sample.basedir, nodePath(below("objects")));
  writeFileSync(nodePath(below("image")), readFileSync(sample.image));
  return {
    image: below("image"),
    target: below("target"),
    basedirs: [below("objects")],
    upperdir: below("upper"),
    workdir: below("work"),
  };
}

function mounts(request: MountRequest, kernel: MountKernel): boolean {
  try {
    executeMount(planMount(request), kernel);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "mount-failed" });
    return false;
  }
}
