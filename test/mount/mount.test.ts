import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { byteString, parseFsVerityDigest } from "#src/core/mod.ts";
import { executeMount, KERNEL, mountComposefs, planMount, unmount } from "#src/mount/mod.ts";
import { machineState, mountsBelow } from "../support/machine-state.ts";
import type { MachineState } from "../support/machine-state.ts";
import { linuxSince } from "../support/linux.ts";
import { needs } from "../support/needs.ts";
import { EXTERNAL_CONTENT, imageOf, makeSample, unmountAll } from "./sample.ts";
import type { Sample } from "./sample.ts";

needs("root", "mount", "erofs", "overlay").describe("mountComposefs", () => {
  let sample: Sample;
  let before: MachineState;

  beforeEach(() => {
    sample = makeSample();
    before = machineState(sample.directory);
  });
  afterEach(() => unmountAll(sample.directory));

  const mountLine = (): string => mountsBelow(sample.directory)[0]!;

  test("shows the names of the image and the content of its backing files", () => {
    const { request, target } = sample;
    mountComposefs(request);
    expect(readdirSync(target)).toEqual(["directory", "elsewhere", "inline", "link", "missing"]);
    expect(readFileSync(`${target}/inline`, "utf8")).toBe("inline");
    expect(readFileSync(`${target}/directory/external`, "utf8")).toBe(EXTERNAL_CONTENT);
    expect(readlinkSync(`${target}/link`)).toBe("directory");
  });

  test("shows owners, modes and times of the image, not those of backing files", () => {
    const { request, target } = sample;
    mountComposefs(request);
    const stat = lstatSync(`${target}/directory/external`, { bigint: true });
    expect([stat.mode, stat.uid, stat.gid, stat.size]).toEqual([0o100644n, 1000n, 1001n, 9000n]);
    expect(stat.mtimeNs).toBe(1500000000_123456789n);
    expect(lstatSync(`${target}/directory`).mode).toBe(0o40750);
  });

  test("mounts one overlay and leaves nothing else, and unmount leaves nothing", () => {
    mountComposefs(sample.request);
    const mounted = machineState(sample.directory);
    expect(mounted.mounts).toHaveLength(1);
    expect(mountLine()).toMatch(/ - overlay composefs ro,/);
    expect({ ...mounted, mounts: [], loopDevices: [] }).toEqual(before);
    unmount(sample.request.target);
    expect(machineState(sample.directory)).toEqual(before);
  });

  test("refuses writes without an upperdir", () => {
    mountComposefs(sample.request);
    expect(() => writeFileSync(`${sample.target}/new`, "")).toThrow(/EROFS/);
  });

  test("looks for a backing file in all basedirs, the first that has it wins", () => {
    const { directory, request, target } = sample;
    const second = `${directory}/second`;
    mkdirSync(`${second}/aa`, { recursive: true });
    mkdirSync(`${second}/bb`);
    writeFileSync(`${second}/aa/external`, "x".repeat(9000));
    writeFileSync(`${second}/bb/elsewhere`, "there");
    mountComposefs({ ...request, basedirs: [...request.basedirs, byteString(second)] });
    expect(readFileSync(`${target}/elsewhere`, "utf8")).toBe("there");
    expect(readFileSync(`${target}/directory/external`, "utf8")).toBe(EXTERNAL_CONTENT);
  });

  test("a missing backing file is an error for its reader, not for the mount", () => {
    mountComposefs(sample.request);
    expect(statSync(`${sample.target}/missing`).size).toBe(5);
    expect(() => openSync(`${sample.target}/missing`, "r")).toThrow(/ENOENT/);
  });

  test("with upperdir and workdir the mount takes changes", () => {
    const { directory, request, target } = sample;
    const upper = withUpper(directory);
    mountComposefs({ ...request, ...upper });
    writeFileSync(`${target}/new`, "new");
    writeFileSync(`${target}/inline`, "changed");
    expect(readFileSync(`${directory}/upper/new`, "utf8")).toBe("new");
    expect(readFileSync(`${directory}/upper/inline`, "utf8")).toBe("changed");
    expect(readFileSync(`${target}/inline`, "utf8")).toBe("changed");
  });

  test("read-only with an upperdir shows earlier changes and refuses new ones", () => {
    const { directory, request, target } = sample;
    const upper = withUpper(directory);
    writeFileSync(`${directory}/upper/earlier`, "earlier");
    mountComposefs({ ...request, ...upper, readOnly: true });
    expect(readFileSync(`${target}/earlier`, "utf8")).toBe("earlier");
    expect(() => writeFileSync(`${target}/new`, "")).toThrow(/EROFS/);
  });

  test("an image given as a descriptor is mounted and stays open", () => {
    const { image, request, target } = sample;
    const fd = openSync(image, "r");
    try {
      mountComposefs({ ...request, image: fd });
      expect(readFileSync(`${target}/inline`, "utf8")).toBe("inline");
      expect(readFileSync(fd)).toEqual(readFileSync(image));
    } finally {
      closeSync(fd);
    }
  });

  test("relative paths count from the current directory", () => {
    const cwd = process.cwd();
    const { directory, target } = sample;
    process.chdir(directory);
    try {
      const [image, objects] = [byteString("image.cfs"), byteString("objects")];
      mountComposefs({ image, target: byteString("target"), basedirs: [objects] });
    } finally {
      process.chdir(cwd);
    }
    expect(readFileSync(`${target}/directory/external`, "utf8")).toBe(EXTERNAL_CONTENT);
  });

  test("a second mount on the same target covers the first", () => {
    const { directory, image, request, target } = sample;
    mountComposefs(request);
    writeFileSync(
      `${image}2`,
      imageOf("/ 4096 40755 2 0 0 0 1.0 - - -\n/two 3 100644 1 0 0 0 1.0 - two -\n"),
    );
    mountComposefs({ ...request, image: byteString(`${image}2`) });
    expect(readdirSync(target)).toEqual(["two"]);
    expect(mountsBelow(directory)).toHaveLength(2);
    unmount(request.target);
    expect(readdirSync(target)).toContain("inline");
  });

  linuxSince(6, 6).test(
    "verity=require is given to the kernel, which then refuses files without a digest",
    () => {
      mountComposefs({ ...sample.request, verity: "require" });
      expect(mountLine()).toContain("verity=require");
      expect(readFileSync(`${sample.target}/inline`, "utf8")).toBe("inline");
      expect(() => readFileSync(`${sample.target}/directory/external`)).toThrow(/EIO/);
    },
  );

  linuxSince(6, 6).test(
    "tryverity requires digests where the kernel has the option, and goes on where not",
    () => {
      const request = { ...sample.request, verity: "try" } as const;
      mountComposefs(request);
      expect(mountLine()).toContain("verity=require");
      unmount(request.target);
      executeMount(planMount(request), withoutVerityOption());
      expect(mountLine()).not.toContain("verity=");
    },
  );

  test("verity=require is an error where the kernel does not have the option", () => {
    const plan = planMount({ ...sample.request, verity: "require" });
    expect(() => executeMount(plan, withoutVerityOption())).toThrow(
      expect.objectContaining({ code: "mount-failed" }),
    );
    expect(machineState(sample.directory)).toEqual(before);
  });

  test("noverity and no word about verity give the kernel no such option", () => {
    mountComposefs({ ...sample.request, verity: "off" });
    expect(mountLine()).not.toContain("verity=");
  });

  test("a digest is an error when the image has no fs-verity, and nothing is left", () => {
    const digest = parseFsVerityDigest("ab".repeat(32));
    expect(() => mountComposefs({ ...sample.request, digest })).toThrow(
      expect.objectContaining({ code: "verity-missing" }),
    );
    expect(machineState(sample.directory)).toEqual(before);
  });

  linuxSince(6, 6).test(
    "the digest that the kernel measures must be the one asked for: all of it, and its algorithm",
    () => {
      const sha256 = "ab".repeat(32);
      const sha512 = "ab".repeat(64);
      const cases = [
        { asked: sha256, has: sha256 },
        { asked: sha512, has: sha512 },
        { asked: sha256, has: `${"ab".repeat(31)}ac` },
        { asked: sha512, has: `${"ab".repeat(63)}ac` },
        { asked: sha256, has: sha512 },
        { asked: sha512, has: sha256 },
      ];
      const outcomes = cases.map(({ asked, has }) => {
        const plan = planMount({ ...sample.request, digest: parseFsVerityDigest(asked) });
        try {
          executeMount(plan, kernelThatMeasures(has));
        } catch (error) {
          expect(machineState(sample.directory)).toEqual(before);
          return (error as { code: string }).code;
        }
        expect(mountLine()).toContain("verity=require");
        unmount(sample.request.target);
        return "mounted";
      });
      const wrong = "verity-mismatch";
      expect(outcomes).toEqual(["mounted", "mounted", wrong, wrong, wrong, wrong]);
    },
  );

  linuxSince(6, 12).test(
    "the descriptor whose digest is measured is the one that is mounted",
    () => {
      const measured: number[] = [];
      const sources: string[] = [];
      const digest = "ab".repeat(32);
      const plan = planMount({ ...sample.request, digest: parseFsVerityDigest(digest) });
      executeMount(plan, {
        ...KERNEL,
        measureVerity(fd) {
          measured.push(fd);
          return { algorithm: "sha256", digest: Buffer.from(digest, "hex") };
        },
        fsconfigSetString(context, key, value) {
          if (key === "source") sources.push(value);
          KERNEL.fsconfigSetString(context, key, value);
        },
      });
      expect(sources).toEqual([`/proc/self/fd/${measured[0]}`, "composefs"]);
    },
  );
});

function withUpper(directory: string) {
  mkdirSync(`${directory}/upper`);
  mkdirSync(`${directory}/work`);
  return { upperdir: byteString(`${directory}/upper`), workdir: byteString(`${directory}/work`) };
}

function withoutVerityOption(): typeof KERNEL {
  return {
    ...KERNEL,
    fsconfigSetString: (context, key, value) =>
      KERNEL.fsconfigSetString(context, key === "verity" ? "no-such-option" : key, value),
    mount: (source, target, fsName, flags, options) =>
      KERNEL.mount(source, target, fsName, flags, options.replace("verity=", "no-such-option=")),
  };
}

function kernelThatMeasures(digest: string): typeof KERNEL {
  const algorithm = digest.length === 64 ? "sha256" : "sha512";
  return { ...KERNEL, measureVerity: () => ({ algorithm, digest: Buffer.from(digest, "hex") }) };
}
