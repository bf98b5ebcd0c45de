/**
 * User namespaces, as files under /proc.
 *
 * Source: ioctl_ns(2); Linux include/uapi/linux/nsfs.h.
 */

import { displayPath } from "./byte-path.ts";
import type { BytePath } from "./byte-path.ts";
import { ERRNO, SyscallError } from "./errors.ts";
import { AT_FDCWD, O_NOCTTY, O_NONBLOCK, O_RDONLY, close, openat } from "./file.ts";
import type { Fd } from "./file.ts";
import { bindLibc } from "./native.ts";

const NS_GET_NSTYPE = 0xb703;
const CLONE_NEWUSER = 0x10000000;

const ioctl = bindLibc("int ioctl(int fd, unsigned long request, long argument)");

/** Opens `/proc/<pid>/ns/user` or a bind mount of it. Throws EINVAL if it is something else. */
export function openUserNamespace(path: BytePath): Fd {
  // O_NONBLOCK: a named pipe in its place must not make us wait for a writer.
  const fd = openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (ioctl(fd, NS_GET_NSTYPE, 0) === CLONE_NEWUSER) return fd;
  close(fd);
  throw new SyscallError("use as a user namespace", ERRNO["EINVAL"]!, displayPath(path));
}
