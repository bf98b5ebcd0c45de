/** Taking a mount away. */

import { displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { SyscallError, describeErrno } from "../floor/errors.ts";
import { MNT_DETACH, UMOUNT_NOFOLLOW, umount2 } from "../floor/mount.ts";
import { MountError } from "./mount-error.ts";

/** Options of {@link unmount}. */
export interface UnmountOptions {
  /** Take it out of sight now, and let go of it when its last user is gone. */
  readonly detach?: boolean;
}

/**
 * Unmounts what is mounted on `target`, the last one if there are several; a loop device below it goes
 * with it. Throws `mount-failed`.
 */
export function unmount(target: ByteString, options: UnmountOptions = {}): void {
  try {
    umount2(target, UMOUNT_NOFOLLOW | (options.detach === true ? MNT_DETACH : 0));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const [reason, hint] = reasonOf(error);
    throw new MountError(`unmount "${displayText(target)}"`, reason, { cause: error, hint });
  }
}

function reasonOf(error: SyscallError): [reason: string, hint?: string] {
  switch (error.errnoName) {
    case "EINVAL":
      return ["not a mount point"];
    case "EBUSY":
      return ["in use", "See who uses it with fuser -vm, or detach it"];
    case "EPERM":
      return ["operation not permitted", "Unmounting needs root (CAP_SYS_ADMIN)"];
    default:
      return [describeErrno(error.errno)];
  }
}
