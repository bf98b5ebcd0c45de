/** A directory of a random name that nobody else may enter. */

import { randomBytes } from "node:crypto";
import type { BytePath } from "./byte-path.ts";
import { isErrno } from "./errors.ts";
import { AT_FDCWD } from "./file.ts";
import { mkdirat } from "./names.ts";

/** Makes an empty directory, mode 0700, named `prefix` and random digits; returns its path. */
export function makePrivateDirectory(prefix: BytePath): BytePath {
  for (;;) {
    const path = prefix + randomBytes(6).toString("hex");
    try {
      mkdirat(AT_FDCWD, path, 0o700);
      return path;
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
  }
}
