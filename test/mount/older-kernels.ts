/** Kernels that refuse what older ones, or ones built without something, refuse: with their errno. */

import { ERRNO, SyscallError } from "#src/floor/mod.ts";
import { KERNEL } from "#src/mount/mod.ts";
import type { MountKernel } from "#src/mount/mod.ts";

function refuse(syscall: string, errno: number): never {
  throw new SyscallError(syscall, errno);
}

const EINVAL = ERRNO["EINVAL"]!;
const ENOTBLK = 15;

/** Layers only by path, so the image has to be attached somewhere (before 6.15). */
const withoutDetachedLayers: MountKernel = {
  ...KERNEL,
  fsconfigSetFd: () => refuse("fsconfig", ERRNO["EBADF"]!),
};

/** No `lowerdir+` and `datadir+` (before 6.7). */
const withoutAppendedLayers: MountKernel = {
  ...withoutDetachedLayers,
  fsconfigSetFd: () => refuse("fsconfig", EINVAL),
  fsconfigSetString(context, key, value) {
    if (key.endsWith("+")) refuse("fsconfig", EINVAL);
    KERNEL.fsconfigSetString(context, key, value);
  },
};

/** An overlay context that takes any option without a word (before 6.5). */
const withoutOptionChecks: MountKernel = {
  ...withoutAppendedLayers,
  fsconfigSetString(context, key, value) {
    if (key === "composefs-probe") return;
    KERNEL.fsconfigSetString(context, key, value);
  },
};

/** Every lower layer has names (before 6.5). */
const withoutDataLayers: MountKernel = {
  ...withoutOptionChecks,
  mount(source, target, fsName, flags, options) {
    if (options.includes("::")) refuse("mount", EINVAL);
    KERNEL.mount(source, target, fsName, flags, options);
  },
};

/** Only `mount(2)` (before 5.2, or forbidden by seccomp). */
const withoutContexts: MountKernel = {
  ...KERNEL,
  fsopen: () => refuse("fsopen", ERRNO["ENOSYS"]!),
};

/** EROFS from block devices only (before 6.12). */
const withoutFileBackedErofs: MountKernel = {
  ...KERNEL,
  fsconfigSetString(context, key, value) {
    if (key === "source" && value.startsWith("/proc/")) refuse("fsconfig", ENOTBLK);
    KERNEL.fsconfigSetString(context, key, value);
  },
  mount(source, target, fsName, flags, options) {
    if (fsName === "erofs" && source.startsWith("/proc/")) refuse("mount", ENOTBLK);
    KERNEL.mount(source, target, fsName, flags, options);
  },
};

/** By what they lack; the first lacks nothing. */
export const KERNELS: ReadonlyMap<string, MountKernel> = new Map([
  ["this kernel", KERNEL],
  ["a kernel without detached layers", withoutDetachedLayers],
  ["a kernel without lowerdir+ and datadir+", withoutAppendedLayers],
  ["a kernel that does not check overlay options", withoutOptionChecks],
  ["a kernel without data-only layers", withoutDataLayers],
  ["a kernel without file system contexts", withoutContexts],
  ["a kernel that mounts EROFS from block devices only", withoutFileBackedErofs],
  [
    "a kernel with nothing but mount(2) and block devices",
    { ...withoutFileBackedErofs, fsopen: withoutContexts.fsopen },
  ],
]);

/** The same kernel, with `before` called ahead of each call; it may throw to make the call fail. */
export function watched(
  kernel: MountKernel,
  before: (call: keyof MountKernel) => void,
): MountKernel {
  const entries = Object.entries(kernel) as [keyof MountKernel, (...args: never[]) => unknown][];
  const wrapped = entries.map(([name, call]) => [
    name,
    (...args: never[]) => {
      before(name);
      return call(...args);
    },
  ]);
  return Object.fromEntries(wrapped) as MountKernel;
}
