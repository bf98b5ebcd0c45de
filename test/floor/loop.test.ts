import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { AT_FDCWD, O_RDONLY, attachLoopDevice, close, openat } from "#src/floor/mod.ts";
import { isCloseOnExec, machineState } from "../support/machine-state.ts";
import { needs } from "../support/needs.ts";
import { tempDir } from "../support/temp.ts";

needs("root", "loop").describe("attachLoopDevice", () => {
  test("gives the file's bytes, read-only, and frees the device when it is closed", () => {
    const directory = tempDir();
    const content = Buffer.alloc(3 * 4096, "loop");
    writeFileSync(`${directory}/file`, content);
    const before = machineState(directory);
    const file = openat(AT_FDCWD, `${directory}/file`, O_RDONLY);
    const device = attachLoopDevice(file, 4096);
    close(file);
    const name = device.path.slice("/dev/".length);
    expect(machineState(directory).loopDevices).toEqual([`${name} ${directory}/file`]);
    expect(readFileSync(device.path)).toEqual(content);
    expect(readFileSync(`/sys/block/${name}/ro`, "utf8").trim()).toBe("1");
    expect(readFileSync(`/sys/block/${name}/loop/autoclear`, "utf8").trim()).toBe("1");
    expect(readFileSync(`/sys/block/${name}/queue/logical_block_size`, "utf8").trim()).toBe("4096");
    expect(isCloseOnExec(device.fd)).toBe(true);
    close(device.fd);
    expect(machineState(directory)).toEqual(before);
  });

  test("gives different devices to two files", () => {
    const directory = tempDir();
    writeFileSync(`${directory}/file`, Buffer.alloc(4096));
    const before = machineState(directory);
    const file = openat(AT_FDCWD, `${directory}/file`, O_RDONLY);
    const devices = [attachLoopDevice(file, 4096), attachLoopDevice(file, 4096)];
    expect(new Set(devices.map((device) => device.path)).size).toBe(2);
    for (const device of devices) close(device.fd);
    close(file);
    expect(machineState(directory)).toEqual(before);
  });

  test("a block size that is none is an error, and the device stays free", () => {
    const directory = tempDir();
    writeFileSync(`${directory}/file`, Buffer.alloc(4096));
    const file = openat(AT_FDCWD, `${directory}/file`, O_RDONLY);
    const before = machineState(directory);
    expect(() => attachLoopDevice(file, 3)).toThrow(/LOOP_CONFIGURE.*EINVAL/);
    expect(machineState(directory)).toEqual(before);
    close(file);
  });
});
