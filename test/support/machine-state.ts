/** What an operation could leave behind on a machine: take it before and after, and compare. */

import { existsSync, readFileSync, readdirSync, readlinkSync } from "node:fs";

/** Our own private mount points; other test processes may be making some just now. */
const PRIVATE = `.composefs.${process.pid}.`;

/** Everything of ours: other processes may mount and unmount meanwhile. */
export interface MachineState {
  /** Lines of mountinfo that name the directory or a private mount point of this process. */
  readonly mounts: readonly string[];
  /** Loop devices whose backing file lies in the directory: `loop0 /tmp/x/image`. */
  readonly loopDevices: readonly string[];
  /** Private mount points of this process in /tmp. */
  readonly privateDirectories: readonly string[];
  /** Open descriptors of this process: `7 /tmp/x/image`. */
  readonly descriptors: readonly string[];
}

/** Takes stock; `directory` is the test's own. */
export function machineState(directory: string): MachineState {
  return {
    mounts: mountsBelow(directory),
    loopDevices: loopDevicesBelow(directory),
    privateDirectories: readdirSync("/tmp").filter((name) => name.startsWith(PRIVATE)),
    descriptors: openDescriptors().map((fd) => `${fd} ${linkOf(fd)}`),
  };
}

/** Lines of mountinfo that name the directory or a private mount point of this process. */
export function mountsBelow(directory: string): string[] {
  return readFileSync("/proc/self/mountinfo", "latin1")
    .split("\n")
    .filter((line) => line.includes(directory) || line.includes(PRIVATE));
}

function loopDevicesBelow(directory: string): string[] {
  const devices = readdirSync("/sys/block").filter((name) => name.startsWith("loop"));
  return devices.flatMap((name) => {
    const path = `/sys/block/${name}/loop/backing_file`;
    if (!existsSync(path)) return [];
    const file = readFileSync(path, "latin1").trim();
    return file.startsWith(directory) ? [`${name} ${file}`] : [];
  });
}

/** The numbers of this process's open descriptors. */
export function openDescriptors(): number[] {
  // The one that lists the directory is gone when its link is read.
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => linkOf(fd) !== undefined);
}

/** Whether a descriptor goes away when another program is executed (`FD_CLOEXEC`). */
export function isCloseOnExec(fd: number): boolean {
  const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"));
  return (Number.parseInt(flags![1]!, 8) & 0o2000000) !== 0;
}

function linkOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
