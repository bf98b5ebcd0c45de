import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { lstatSync, readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import type { ByteString } from "#src/core/mod.ts";
import { executeMount, planMount, unmount } from "#src/mount/mod.ts";
import { machineState } from "../support/machine-state.ts";
import { needs } from "../support/needs.ts";
import { KERNELS } from "./older-kernels.ts";
import { EXTERNAL_CONTENT, makeSample, unmountAll } from "./sample.ts";
import type { Sample } from "./sample.ts";

/** Kernels that have `mount_setattr`, which came after the file system contexts. */
const CAPABLE = [...KERNELS].filter(
  ([, kernel]) => kernel.fsopen === KERNELS.get("this kernel")!.fsopen,
);

needs("root", "mount", "erofs", "overlay", "loop", "user namespaces").describe(
  "executeMount with an ID mapping",
  () => {
    let sample: Sample;
    let holder: ChildProcess;
    let idmap: ByteString;

    beforeEach(async () => {
      sample = makeSample();
      [holder, idmap] = await userNamespace("0 100000 65536");
    });
    afterEach(async () => {
      unmountAll(sample.directory);
      holder.kill();
      await once(holder, "exit");
    });

    describe.each(CAPABLE)("on %s", (_, kernel) => {
      test("shows every owner of the image mapped, and unmounts to nothing", () => {
        const before = machineState(sample.directory);
        executeMount(planMount({ ...sample.request, idmap }), kernel);
        const owner = (name: string): number[] => {
          const { uid, gid } = lstatSync(`${sample.target}/${name}`);
          return [uid, gid];
        };
        expect(owner("inline")).toEqual([100000, 100000]);
        expect(owner("directory")).toEqual([100007, 100008]);
        expect(owner("directory/external")).toEqual([101000, 101001]);
        expect(readFileSync(`${sample.target}/directory/external`, "utf8")).toBe(EXTERNAL_CONTENT);
        unmount(sample.request.target);
        expect(machineState(sample.directory)).toEqual(before);
      });
    });
  },
);

/** A process in a user namespace of its own with the given mapping, and that namespace's path. */
async function userNamespace(mapping: string): Promise<[ChildProcess, ByteString]> {
  const holder = spawn("unshare", ["--user", "sh", "-c", "echo ready; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  writeFileSync(`/proc/${holder.pid}/uid_map`, mapping);
  writeFileSync(`/proc/${holder.pid}/gid_map`, mapping);
  return [holder, byteString(`/proc/${holder.pid}/ns/user`)];
}
