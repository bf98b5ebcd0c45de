/**
 * The kernel's own words about a mount that it refused.
 *
 * A file system context (`fsopen`) keeps a short log, one message for each `read`; the same text that
 * `mount(2)` would only have put into the kernel log. An errno such as EINVAL says nothing by itself.
 *
 * Source: Linux Documentation/filesystems/mount_api.rst; fs/fsopen.c, `fscontext_read`.
 */

import { SyscallError } from "./errors.ts";
import { read } from "./file.ts";
import type { Fd } from "./file.ts";

/** Longer than any message the kernel makes; a shorter buffer would lose the message (EMSGSIZE). */
const MESSAGE_SIZE = 4096;

/** The kernel keeps 8 messages for each context (`struct fc_log`). */
const MESSAGE_LIMIT = 8;

/** A call on a file system context that failed, with what the kernel logged about it. */
export class FsContextError extends SyscallError {
  /** Errors and warnings without their level, oldest first; may be empty. */
  readonly kernelMessages: readonly string[];

  constructor(syscall: string, errno: number, subject: string, kernelMessages: readonly string[]) {
    super(syscall, errno, subject);
    this.kernelMessages = kernelMessages;
    if (kernelMessages.length > 0) this.message += `: ${kernelMessages.join("; ")}`;
  }
}

/**
 * Takes the errors and warnings out of the log of a file system context; it is empty after that.
 * Never throws: it is called when something has already failed.
 */
export function takeKernelMessages(context: Fd): string[] {
  const buffer = Buffer.alloc(MESSAGE_SIZE);
  const messages: string[] = [];
  for (let i = 0; i < MESSAGE_LIMIT; i++) {
    let length: number;
    try {
      length = read(context, buffer);
    } catch {
      break; // ENODATA: that was the last one.
    }
    const message = /^([ewi]) (.*)$/s.exec(printable(buffer.subarray(0, length)));
    if (message !== null && message[1] !== "i") messages.push(message[2]!);
  }
  return messages;
}

/** A message may quote a hostile option value: keep control characters off the terminal. */
function printable(bytes: Buffer): string {
  return bytes
    .toString("utf8")
    .trimEnd()
    .replace(/\p{Cc}/gu, "?");
}
