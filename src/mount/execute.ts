/** Taking the steps of a mount, and undoing those taken when one fails. */

import { displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { ComposefsError } from "../core/errors.ts";
import { digestAlgorithm, fsVerityDigestFrom } from "../core/fsverity/digest.ts";
import type { FsVerityDigest } from "../core/fsverity/digest.ts";
import { kindOfMode } from "../core/tree/node.ts";
import { SyscallError, describeErrno } from "../floor/errors.ts";
import {
  AT_FDCWD,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  close,
  fstat,
  openat,
  preadFully,
} from "../floor/file.ts";
import type { Fd } from "../floor/file.ts";
import { FsContextError } from "../floor/mount-log.ts";
import { openUserNamespace } from "../floor/user-namespace.ts";
import { Cleanup } from "./cleanup.ts";
import { IMAGE_HEADER_SIZE, checkImageHeader } from "./image-header.ts";
import { mountImage } from "./image-mount.ts";
import type { ImageMount } from "./image-mount.ts";
import { KERNEL } from "./kernel.ts";
import type { MountKernel } from "./kernel.ts";
import { MountError } from "./mount-error.ts";
import { mountOverlay } from "./overlay-mount.ts";
import { describeImage, planMount } from "./plan.ts";
import type { MountPlan, MountRequest, MountStep } from "./plan.ts";

/**
 * Mounts a composefs image. When it returns, the mount is complete; when it throws, no mount, loop
 * device or directory is left.
 *
 * Throws `invalid-mount-options`; `verity-missing` or `verity-mismatch` when the image's digest is not
 * the one asked for; `not-erofs`, `not-composefs` or `unsupported-image`; else `mount-failed`, whose
 * `cause` is the system call.
 */
export function mountComposefs(request: MountRequest): void {
  executeMount(planMount(request));
}

/** Takes the steps of a plan, and takes back what was done if one fails. Throws as {@link mountComposefs}. */
export function executeMount(plan: MountPlan, kernel: MountKernel = KERNEL): void {
  try {
    Cleanup.scope((cleanup) => {
      const run = new MountRun(kernel, cleanup, plan);
      for (const step of plan.steps) run.take(step);
    });
  } catch (error) {
    throw error instanceof SyscallError ? mountFailed(plan, error) : error;
  }
}

/** What the steps hand on to each other. */
class MountRun {
  readonly #kernel: MountKernel;
  readonly #cleanup: Cleanup;
  readonly #plan: MountPlan;
  #image: Fd | undefined;
  #hasAcl = true;
  #target: Fd | undefined;
  #idmap: Fd | undefined;
  #imageMount: ImageMount | undefined;
  /** Detached; `undefined` if it is on the target already. */
  #overlay: Fd | undefined;

  constructor(kernel: MountKernel, cleanup: Cleanup, plan: MountPlan) {
    this.#kernel = kernel;
    this.#cleanup = cleanup;
    this.#plan = plan;
  }

  take(step: MountStep): void {
    switch (step.kind) {
      case "open-image":
        this.#image = this.#openImage(step.image);
        return;
      case "check-digest":
        this.#checkDigest(step.digest);
        return;
      case "check-header":
        this.#checkHeader();
        return;
      case "open-target":
        this.#target = this.#openTarget(step.target);
        return;
      case "open-idmap":
        this.#idmap = this.#closing(openUserNamespace(step.idmap));
        return;
      case "mount-image": {
        const mounted = mountImage(this.#kernel, this.#image!, {
          hasAcl: this.#hasAcl,
          idmapFd: this.#idmap,
        });
        this.#cleanup.defer(() => mounted.close());
        this.#imageMount = mounted;
        return;
      }
      case "mount-overlay":
        this.#overlay = mountOverlay(this.#kernel, this.#imageMount!, step, this.#target!);
        if (this.#overlay !== undefined) this.#closing(this.#overlay);
        return;
      case "attach":
        // First away with the private directory, so that whoever sees the mount sees nothing else.
        this.#imageMount!.close();
        if (this.#overlay !== undefined) this.#kernel.moveMount(this.#overlay, this.#target!);
        return;
    }
  }

  #openImage(image: ByteString | Fd): Fd {
    if (typeof image === "number") return image;
    // O_NONBLOCK: a named pipe in its place must not make us wait for a writer.
    const flags = O_RDONLY | O_NOCTTY | O_NONBLOCK;
    const fd = this.#closing(openat(AT_FDCWD, image, flags));
    const kind = kindOfMode(fstat(fd).mode);
    if (kind !== "file" && kind !== "blockdev") throw this.#failure("the image is not a file");
    return fd;
  }

  #checkDigest(expected: FsVerityDigest): void {
    const measured = this.#kernel.measureVerity(this.#image!);
    const image = describeImage(this.#plan.image);
    if (measured === undefined) {
      throw new ComposefsError("verity-missing", `Cannot mount ${image}: image has no fs-verity`, {
        hint: "Enable fs-verity on the image, on a file system that has it, or mount without a digest",
      });
    }
    const digest = fsVerityDigestFrom(measured.digest);
    if (measured.algorithm === digestAlgorithm(expected) && digest === expected) return;
    throw new ComposefsError(
      "verity-mismatch",
      `Cannot mount ${image}: image has wrong fs-verity: ${measured.algorithm} ${digest}, want ${expected}`,
    );
  }

  #checkHeader(): void {
    const start = new Uint8Array(IMAGE_HEADER_SIZE);
    const length = preadFully(this.#image!, start, 0);
    this.#hasAcl = checkImageHeader(start.subarray(0, length)).hasAcl;
  }

  #openTarget(target: ByteString): Fd {
    const fd = this.#closing(openat(AT_FDCWD, target, O_PATH | O_NOFOLLOW));
    const kind = kindOfMode(fstat(fd).mode);
    if (kind === "symlink") {
      throw this.#failure("the target is a symbolic link", "Name the directory that it leads to");
    }
    if (kind !== "directory") throw this.#failure("the target is not a directory");
    return fd;
  }

  #closing(fd: Fd): Fd {
    this.#cleanup.defer(() => close(fd));
    return fd;
  }

  #failure(reason: string, hint?: string): MountError {
    return new MountError(describeMount(this.#plan), reason, { hint });
  }
}

function mountFailed(plan: MountPlan, cause: SyscallError): MountError {
  const call = `${cause.syscall}${cause.subject === "" ? "" : ` "${cause.subject}"`}`;
  const words =
    cause instanceof FsContextError && cause.kernelMessages.length > 0
      ? cause.kernelMessages.join("; ")
      : describeErrno(cause.errno);
  const reason = `${words} (${call}: ${cause.errnoName})`;
  return new MountError(describeMount(plan), reason, { cause, hint: hintFor(cause) });
}

function describeMount(plan: MountPlan): string {
  return `mount ${describeImage(plan.image)} on "${displayText(plan.target)}"`;
}

function hintFor(cause: SyscallError): string | undefined {
  switch (cause.errnoName) {
    case "EPERM":
      return "Mounting needs root (CAP_SYS_ADMIN)";
    case "ENODEV":
      if (cause.syscall !== "fsopen" && cause.syscall !== "mount") return cause.hint;
      return `The kernel has no ${cause.subject}: see /proc/filesystems, and try modprobe ${cause.subject}`;
    case "EINVAL":
      // overlayfs tells some of its reasons to the kernel log only.
      if (cause.syscall !== "fsconfig" && cause.syscall !== "mount") return cause.hint;
      return "The kernel log may say why: see dmesg";
    case "ENOSYS":
      return "The kernel is too old for this, or a sandbox (seccomp) forbids it";
    default:
      return cause.hint;
  }
}
