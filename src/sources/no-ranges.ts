/** What `openRanges` throws where it turns out that there are none. */

import { ComposefsError } from "../core/errors.ts";

/** A server that gives blobs only as a whole. Thrown before the first piece. */
export class NoRangesError extends ComposefsError {
  /** `what` is the blob, for people. */
  constructor(what: string) {
    super("registry-failed", `Cannot get parts of ${what}: the server gives it as a whole`);
  }
}
