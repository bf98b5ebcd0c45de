/**
 * The lower half of a composefs mount: the image as an EROFS mount.
 *
 * The mount stays detached, visible to nobody, as long as the kernel lets an overlay use it like that
 * (Linux 6.15). For older kernels it is attached to a private directory in /tmp, which goes again
 * before the overlay appears.
 */

import { EROFS_BLKSIZ } from "../core/erofs/format.ts";
import { isErrno } from "../floor/errors.ts";
import { AT_FDCWD, O_DIRECTORY, O_PATH, close, openat } from "../floor/file.ts";
import type { Fd } from "../floor/file.ts";
import { rmdirat } from "../floor/names.ts";
import {
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MS_RDONLY,
  UMOUNT_NOFOLLOW,
  umount2,
} from "../floor/mount.ts";
import { makePrivateDirectory } from "../floor/private-directory.ts";
import { Cleanup } from "./cleanup.ts";
import type { MountKernel } from "./kernel.ts";

/** As C composefs names them; the process ID tells whose it was, should we be killed meanwhile. */
const PRIVATE_DIRECTORY_PREFIX = `/tmp/.composefs.${process.pid}.`;

/** How an image is to be mounted. */
export interface ImageMountOptions {
  /** Without ACLs in the image the kernel is told not to look for any. */
  readonly hasAcl: boolean;
  /** A user namespace whose ID mapping the mount gets. */
  readonly idmapFd: Fd | undefined;
}

/** A mounted image. {@link ImageMount.close} leaves nothing of it but what an overlay holds. */
export class ImageMount {
  readonly #kernel: MountKernel;
  readonly #cleanup = new Cleanup();
  #path: string | undefined;
  /** The mount itself; absent where the kernel has only `mount(2)`, which needs a path. */
  readonly fd: Fd | undefined;

  constructor(kernel: MountKernel, mountAt: Fd | ((path: string) => void)) {
    this.#kernel = kernel;
    if (typeof mountAt === "number") {
      this.fd = mountAt;
      this.#cleanup.defer(() => close(mountAt));
    } else {
      this.#attach(mountAt);
    }
  }

  /** A path to the mount; asking for it attaches a detached mount to a private directory. */
  path(): string {
    return this.#path ?? this.#attach((path) => this.#moveTo(path));
  }

  /** Lets go of the mount, and of the private directory if there is one. */
  close(): void {
    this.#cleanup.run();
  }

  #attach(mountAt: (path: string) => void): string {
    const path = makePrivateDirectory(PRIVATE_DIRECTORY_PREFIX);
    try {
      mountAt(path);
    } catch (error) {
      rmdirat(AT_FDCWD, path);
      throw error;
    }
    this.#cleanup.defer(() => {
      umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
      rmdirat(AT_FDCWD, path);
    });
    this.#path = path;
    return path;
  }

  #moveTo(path: string): void {
    Cleanup.scope((cleanup) => {
      const directory = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY);
      cleanup.defer(() => close(directory));
      this.#kernel.moveMount(this.fd!, directory);
    });
  }
}

/** Mounts the image that `image` is open on: from the file where the kernel can, else through a loop device. */
export function mountImage(kernel: MountKernel, image: Fd, options: ImageMountOptions): ImageMount {
  try {
    // The very descriptor whose digest was checked: a path could name another file by now.
    return mountErofs(kernel, `/proc/self/fd/${image}`, options);
  } catch (error) {
    // "Block device required": EROFS mounts files since Linux 6.12, and not on every file system.
    if (!isErrno(error, "ENOTBLK")) throw error;
  }
  return Cleanup.scope((cleanup) => {
    const device = kernel.attachLoopDevice(image, EROFS_BLKSIZ);
    cleanup.defer(() => close(device.fd));
    return mountErofs(kernel, device.path, options);
  });
}

function mountErofs(kernel: MountKernel, source: string, options: ImageMountOptions): ImageMount {
  let context: Fd;
  try {
    context = kernel.fsopen("erofs");
  } catch (error) {
    if (!isErrno(error, "ENOSYS") || options.idmapFd !== undefined) throw error;
    return mountErofsAtOnce(kernel, source, options);
  }
  return Cleanup.scope((cleanup) => {
    cleanup.defer(() => close(context));
    kernel.fsconfigSetString(context, "source", source);
    kernel.fsconfigSetFlag(context, "ro");
    if (!options.hasAcl) kernel.fsconfigSetFlag(context, "noacl");
    kernel.fsconfigCreate(context);
    const fd = kernel.fsmount(context, MOUNT_ATTR_RDONLY);
    const mounted = new ImageMount(kernel, fd);
    try {
      if (options.idmapFd !== undefined) kernel.mountSetIdmap(fd, options.idmapFd);
    } catch (error) {
      mounted.close();
      throw error;
    }
    return mounted;
  });
}

function mountErofsAtOnce(
  kernel: MountKernel,
  source: string,
  options: ImageMountOptions,
): ImageMount {
  return new ImageMount(kernel, (path) =>
    kernel.mount(source, path, "erofs", MS_RDONLY, options.hasAcl ? "" : "noacl"),
  );
}
