/** What a mount or unmount becomes that the kernel, or what it finds, does not allow. */

import { ComposefsError } from "../core/errors.ts";

/** A mount that cannot be made or taken away; `cause` is the system call, where there is one. */
export class MountError extends ComposefsError {
  override readonly name = "MountError";
  /** The bare reason, without the action: `not a mount point`. */
  readonly reason: string;

  constructor(
    action: string,
    reason: string,
    options: { readonly cause?: unknown; readonly hint?: string | undefined } = {},
  ) {
    const { hint, ...rest } = options;
    super("mount-failed", `Cannot ${action}: ${reason}`, {
      ...rest,
      ...(hint !== undefined && { hint }),
    });
    this.reason = reason;
  }
}
