/** Tests in virtual machines. How to write one: docs/testing.md. */

export type { CommandResult } from "./agent.ts";
export { bootParts } from "./boot-parts.ts";
export type { BootParts } from "./boot-parts.ts";
export { Bench, nodeState, vmDescribe, vmTest } from "./bench.ts";
export type { BootRequest, SavedBench } from "./bench.ts";
export { checkDisks } from "./check-disks.ts";
export { flipOnDisk, makeBootDisk, replaceOnEsp } from "./disk.ts";
export type { BootDisk, DiskFormat } from "./disk.ts";
export { makeUki } from "./firmware.ts";
export { GUEST_SOURCES, Initramfs } from "./initramfs.ts";
export type { Machine } from "./machine.ts";
export { hostTool, setUp } from "./setup.ts";
export { addPackage } from "./states.ts";
export type { StateName } from "./states.ts";
export { WriteLog } from "./write-log.ts";
