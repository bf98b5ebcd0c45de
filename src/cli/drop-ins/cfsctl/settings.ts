/** What the global options of cfsctl say, and which repository they mean. */

import { byteString, concatByteStrings } from "../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../core/bytes/byte-string.ts";
import type { FormatVersion } from "../../../core/erofs/version.ts";
import { ComposefsError } from "../../../core/errors.ts";
import type { FsVerityAlgorithm } from "../../../core/fsverity/digest.ts";
import type { Invocation } from "../../command-line/invocation.ts";
import type { Io } from "../../output/io.ts";

/** The global options, and the surroundings. */
export interface Settings {
  /** `--repo`, `--user` or `--system`; none unless told. */
  readonly place: ByteString | "user" | "system" | undefined;
  readonly hash: FsVerityAlgorithm | undefined;
  readonly erofsVersion: FormatVersion | undefined;
  readonly insecure: boolean;
  readonly requireVerity: boolean;
  readonly noUpgrade: boolean;
  readonly noRepo: boolean;
  readonly io: Io;
}

/** A command with its arguments. */
export interface CfsctlCall {
  readonly settings: Settings;
  readonly invocation: Invocation;
  readonly io: Io;
}

/** Where root has its repository. */
const SYSTEM_PATH = byteString("/sysroot/composefs");

/** Reads the global options, which the parser has checked. */
export function readSettings(globals: Invocation, io: Io): Settings {
  const version = globals.value("erofs-version");
  return {
    place:
      globals.value("repo") ??
      (globals.has("user") ? "user" : globals.has("system") ? "system" : undefined),
    hash: globals.value("hash") as FsVerityAlgorithm | undefined,
    erofsVersion: version === undefined ? undefined : (Number(version) as FormatVersion),
    insecure: globals.has("insecure"),
    requireVerity: globals.has("require-verity"),
    noUpgrade: globals.has("no-upgrade"),
    noRepo: globals.has("no-repo"),
    io,
  };
}

/** The path of the repository. Throws `repository-missing` where the user has no home. */
export function repositoryPath({ place, io }: Settings): ByteString {
  const isRoot = process.getuid?.() === 0;
  switch (place ?? (isRoot ? "system" : "user")) {
    case "system":
      return SYSTEM_PATH;
    case "user":
      return userPath(io);
    default:
      return place as ByteString;
  }
}

function userPath(io: Io): ByteString {
  const home = io.env["HOME"];
  if (home === undefined || home === "") {
    const message = "Cannot find the repository of the user: HOME is not set";
    throw new ComposefsError("repository-missing", message, { hint: "use --repo" });
  }
  return concatByteStrings(byteString(home), byteString("/.var/lib/composefs"));
}
