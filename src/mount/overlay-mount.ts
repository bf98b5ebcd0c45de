/**
 * The upper half of a composefs mount: an overlay that takes names from the image and data from the
 * basedirs.
 *
 * Kernels differ in how layers are given to an overlay. The ways are tried from the newest to the
 * oldest; each leaves nothing when the kernel refuses it.
 *
 * | way                                   | Linux |
 * | ------------------------------------- | ----- |
 * | layers as descriptors, image detached | 6.15  |
 * | `lowerdir+`, `datadir+` by path       | 6.7   |
 * | `lowerdir=image::basedir`             | 6.5   |
 * | `mount(2)`, the same text             | 6.5   |
 * | `mount(2)`, `lowerdir=image:basedir`  | 4.19  |
 *
 * Source: Linux Documentation/filesystems/overlayfs.rst, "Data-only lower layers"; fs/overlayfs/params.c.
 */

import { byteString } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { ERRNO, SyscallError, isErrno } from "../floor/errors.ts";
import { AT_FDCWD, O_DIRECTORY, O_PATH, close, openat } from "../floor/file.ts";
import type { Fd } from "../floor/file.ts";
import { FSCONFIG_STRING_MAX, MOUNT_ATTR_RDONLY, MS_RDONLY, MS_SILENT } from "../floor/mount.ts";
import { FsContextError } from "../floor/mount-log.ts";
import { Cleanup } from "./cleanup.ts";
import type { ImageMount } from "./image-mount.ts";
import type { MountKernel } from "./kernel.ts";
import type { OverlayStep } from "./plan.ts";

/** What `/proc/mounts` shows as the device, as with the C tool. */
const OVERLAY_SOURCE = "composefs";

/** How a kernel says "I cannot take it like that", as opposed to "I do not want to". */
const NOT_THIS_WAY = ["EINVAL", "EBADF", "ENOSYS"] as const;

/** A directory that the overlay is made of: opened before anything is mounted. */
interface Layer {
  readonly fd: Fd;
  /** The directory as every kernel reads it in an option, whatever bytes its path has. */
  readonly name: string;
}

interface Layers {
  readonly image: ImageMount;
  readonly basedirs: readonly Layer[];
  readonly upper: { readonly upperdir: Layer; readonly workdir: Layer } | undefined;
}

/**
 * Makes the overlay and returns it detached, for the caller to attach and close; or `undefined` where
 * only `mount(2)` would do, which has put it on `target`.
 */
export function mountOverlay(
  kernel: MountKernel,
  image: ImageMount,
  step: OverlayStep,
  target: Fd,
): Fd | undefined {
  return Cleanup.scope((cleanup) => {
    const layers = openLayers(image, step, cleanup);
    const ways: OverlayWay[] = [
      () => mountDetached(kernel, step, (context) => addByDescriptor(kernel, context, layers)),
      () => mountDetached(kernel, step, (context) => addByPath(kernel, context, layers)),
      () => mountDetached(kernel, step, (context) => setLowerdir(kernel, context, layers)),
      () => mountAtOnce(kernel, layers, step, target, "::"),
      () => mountAtOnce(kernel, layers, step, target, ":"),
    ];
    return firstPossible(ways);
  });
}

/** Returns the overlay, or `undefined` if it is attached already. */
type OverlayWay = () => Fd | undefined;

/** Takes the first way that the kernel knows. */
function firstPossible(ways: readonly OverlayWay[]): Fd | undefined {
  const refusals: SyscallError[] = [];
  for (const [index, mountThisWay] of ways.entries()) {
    try {
      return mountThisWay();
    } catch (error) {
      if (!isErrno(error, ...NOT_THIS_WAY)) throw error;
      // Once all options have been taken as paths, the layers are refused and not how they are given.
      // Descriptors get another chance: they may be taken before the kernel finds the image detached.
      if (index > 0 && isCreation(error)) throw error;
      refusals.push(error);
    }
  }
  throw mostTelling(refusals);
}

function isCreation(error: SyscallError): boolean {
  return error instanceof FsContextError && error.subject === "create";
}

function openLayers(image: ImageMount, step: OverlayStep, cleanup: Cleanup): Layers {
  const openLayer = (path: ByteString): Layer => {
    const fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY);
    cleanup.defer(() => close(fd));
    return { fd, name: layerName(path, fd) };
  };
  return {
    image,
    basedirs: step.basedirs.map(openLayer),
    upper: step.upper && {
      upperdir: openLayer(step.upper.upperdir),
      workdir: openLayer(step.upper.workdir),
    },
  };
}

/**
 * Paths in options are escaped differently in each option and kernel, and end at 255 bytes. The path
 * of a descriptor needs no escaping; a plain path is left as it is, for whoever reads /proc/mounts.
 */
function layerName(path: ByteString, fd: Fd): string {
  const isPlain = path.length <= FSCONFIG_STRING_MAX && /^\/[\w./@%+-]*$/.test(path);
  return isPlain ? path : `/proc/self/fd/${fd}`;
}

function mountDetached(
  kernel: MountKernel,
  step: OverlayStep,
  addLayers: (context: Fd) => void,
): Fd {
  return Cleanup.scope((cleanup) => {
    const context = kernel.fsopen("overlay");
    cleanup.defer(() => close(context));
    assertChecksOptions(kernel, context);
    kernel.fsconfigSetString(context, "source", OVERLAY_SOURCE);
    kernel.fsconfigSetString(context, "metacopy", "on");
    kernel.fsconfigSetString(context, "redirect_dir", "on");
    setVerity(kernel, context, step);
    addLayers(context);
    kernel.fsconfigCreate(context);
    return kernel.fsmount(context, step.readOnly ? MOUNT_ATTR_RDONLY : 0);
  });
}

/**
 * Before Linux 6.5 an overlay's context is a wrapper around `mount(2)` that takes any option without a
 * word, `verity=require` too. An option that cannot exist tells such a kernel by its silence.
 */
function assertChecksOptions(kernel: MountKernel, context: Fd): void {
  try {
    kernel.fsconfigSetString(context, "composefs-probe", "1");
  } catch (error) {
    if (isErrno(error, "EINVAL")) return;
    throw error;
  }
  throw new SyscallError("fsconfig", ERRNO["ENOSYS"]!, "overlay");
}

function setVerity(kernel: MountKernel, context: Fd, step: OverlayStep): void {
  if (step.verity === "off") return;
  try {
    kernel.fsconfigSetString(context, "verity", "require");
  } catch (error) {
    if (step.verity === "require" || !isErrno(error, "EINVAL")) throw error;
  }
}

function addByDescriptor(kernel: MountKernel, context: Fd, layers: Layers): void {
  if (layers.image.fd === undefined) {
    throw new SyscallError("fsconfig", ERRNO["EBADF"]!, "lowerdir+");
  }
  kernel.fsconfigSetFd(context, "lowerdir+", layers.image.fd);
  for (const { fd } of layers.basedirs) kernel.fsconfigSetFd(context, "datadir+", fd);
  if (layers.upper === undefined) return;
  kernel.fsconfigSetFd(context, "upperdir", layers.upper.upperdir.fd);
  kernel.fsconfigSetFd(context, "workdir", layers.upper.workdir.fd);
}

function addByPath(kernel: MountKernel, context: Fd, layers: Layers): void {
  kernel.fsconfigSetString(context, "lowerdir+", layers.image.path());
  for (const { name } of layers.basedirs) kernel.fsconfigSetString(context, "datadir+", name);
  setUpper(kernel, context, layers);
}

function setLowerdir(kernel: MountKernel, context: Fd, layers: Layers): void {
  kernel.fsconfigSetString(context, "lowerdir", lowerdir(layers, "::"));
  setUpper(kernel, context, layers);
}

function setUpper(kernel: MountKernel, context: Fd, layers: Layers): void {
  if (layers.upper === undefined) return;
  kernel.fsconfigSetString(context, "upperdir", layers.upper.upperdir.name);
  kernel.fsconfigSetString(context, "workdir", layers.upper.workdir.name);
}

/**
 * As the C tool does for kernels without data-only layers: behind a single colon a basedir is an
 * ordinary layer, whose names do not show only because the image's root is opaque.
 */
function mountAtOnce(
  kernel: MountKernel,
  layers: Layers,
  step: OverlayStep,
  target: Fd,
  separator: "::" | ":",
): undefined {
  const options = ["metacopy=on", "redirect_dir=on", `lowerdir=${lowerdir(layers, separator)}`];
  if (layers.upper !== undefined) {
    options.push(`upperdir=${layers.upper.upperdir.name}`, `workdir=${layers.upper.workdir.name}`);
  }
  // With "try" this call could not tell a kernel without the option from one without its layers.
  if (step.verity === "require") options.push("verity=require");
  // Silent, because a refusal here is expected and must not fill the kernel log.
  const flags = (step.readOnly ? MS_RDONLY : 0) | (separator === "::" ? MS_SILENT : 0);
  kernel.mount(
    byteString(OVERLAY_SOURCE),
    byteString(`/proc/self/fd/${target}`),
    "overlay",
    flags,
    options.join(","),
  );
}

function lowerdir(layers: Layers, separator: string): string {
  return [layers.image.path(), ...layers.basedirs.map(({ name }) => name)].join(separator);
}

/**
 * Of all refusals, the last in which the kernel gives its reason: an older kernel's "unknown parameter"
 * and "bad value" (a descriptor where it wants a path) only say that the way is too new.
 */
function mostTelling(refusals: readonly SyscallError[]): SyscallError {
  const explained = refusals.filter(
    (error) =>
      error instanceof FsContextError &&
      error.kernelMessages.some((message) => !/Unknown parameter|Bad value for/.test(message)),
  );
  return explained.at(-1) ?? refusals.at(-1)!;
}
