/** Tests of what the kernel itself has learned at some version, and cannot be simulated. */

import { release } from "node:os";
import { needsThat } from "./needs.ts";
import type { Conditional } from "./needs.ts";

/** Runs only on a kernel of at least this version. */
export function linuxSince(major: number, minor: number): Conditional {
  const [ourMajor = 0, ourMinor = 0] = release()
    .split(".")
    .map((part) => parseInt(part, 10));
  const isOlder = ourMajor < major || (ourMajor === major && ourMinor < minor);
  return needsThat(isOlder ? `needs Linux ${major}.${minor}, this is ${release()}` : undefined);
}
