/** The options by which a command finds its repository: for every command that uses one. */

import { byteString, displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { Repository } from "../../store/mod.ts";
import type { OpenOptions } from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import type { OptionSpec } from "../command-line/spec.ts";

/** Which repository. */
export const REPOSITORY_PATH_OPTIONS: readonly OptionSpec[] = [
  {
    name: "repo",
    value: { label: "PATH", kind: "directory" },
    brief: "Use the repository at this path",
    details:
      "Unless told: COMPOSEFS_REPO from the environment, else for root /sysroot/composefs, else ~/.var/lib/composefs.",
  },
  { name: "user", brief: "Use the repository of the user, ~/.var/lib/composefs" },
  { name: "system", brief: "Use the repository of the machine, /sysroot/composefs" },
];

/** Which repository, and what it has to be: for all commands that open one. */
export const REPOSITORY_OPTIONS: readonly OptionSpec[] = [
  ...REPOSITORY_PATH_OPTIONS,
  { name: "require-verity", brief: "Refuse a repository that does not require fs-verity" },
];

const SYSTEM_PATH = "/sysroot/composefs" as ByteString;
const BELOW_HOME = "/.var/lib/composefs" as ByteString;

/** Where the repository is that a command line means. Throws `usage`. */
export function repositoryPath(invocation: Invocation, { env }: Pick<Io, "env">): ByteString {
  const given = ["repo", "user", "system"].filter((name) => invocation.has(name));
  if (given.length > 1) {
    const names = given.map((name) => `--${name}`).join(" and ");
    throw new ComposefsError("usage", `Cannot use ${names} together: each names a repository`);
  }
  const path = invocation.value("repo");
  if (path !== undefined) return path;
  if (given.length === 0) {
    const fromEnvironment = env["COMPOSEFS_REPO"];
    if (fromEnvironment !== undefined && fromEnvironment !== "") return byteString(fromEnvironment);
  }
  const isSystem = invocation.has("system") || (given.length === 0 && process.geteuid?.() === 0);
  if (isSystem) return SYSTEM_PATH;
  const home = env["HOME"];
  if (home === undefined || home === "") {
    throw new ComposefsError("usage", "Cannot find the repository of the user: HOME is not set", {
      hint: "name one with --repo",
    });
  }
  return (byteString(home) + BELOW_HOME) as ByteString;
}

/**
 * Opens that repository; an old one is upgraded. Says so when it has to wait for its lock. The caller closes
 * it. To be called before signals are listened to: waiting blocks the thread.
 */
export function openRepository(
  invocation: Invocation,
  io: Pick<Io, "env" | "err">,
  options: OpenOptions = {},
): Repository {
  const path = repositoryPath(invocation, io);
  const verity = invocation.has("require-verity") ? "required" : undefined;
  const all: OpenOptions = { upgrade: true, verity, ...options };
  try {
    return Repository.open(path, { ...all, lock: "try" });
  } catch (error) {
    const isBusy = error instanceof ComposefsError && error.code === "repository-busy";
    if (!isBusy || options.lock === "try") throw error;
  }
  io.err.text(`Waiting for a process that removes from repository "${displayText(path)}"\n`);
  io.err.flush();
  return Repository.open(path, { ...all, lock: "wait" });
}
