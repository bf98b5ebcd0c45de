/** Whether virtual machines can be set up here. */

import { existsSync, readFileSync } from "node:fs";
import { privateAptProblem } from "./private-apt.mjs";

/** Why this machine cannot be set up for the tests in virtual machines, or `undefined` when it can. */
export function machineProblem() {
  if (process.arch !== "x64") return `the guest is an x86-64 machine, this one is ${process.arch}`;
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  if (!/^VERSION_CODENAME=bookworm$/m.test(release)) return "needs Debian 12 (bookworm)";
  if (process.getuid?.() !== 0) return "needs root, to unpack a Debian userspace with its owners";
  return privateAptProblem();
}
