/**
 * The text behind `-o`: options of mount.composefs, read exactly as the C tool reads them.
 *
 * Options stand between commas; a backslash keeps the byte behind it from meaning anything. Values
 * lose their backslashes before `basedir` is cut at colons, so a basedir with a colon in its name
 * cannot be given as text. Later options win over earlier ones.
 *
 * Source: composefs 1.0.8 tools/mountcomposefs.c; man mount.composefs(8). `noverity` is ours.
 */

import { displayText, sliceByteString } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import { ComposefsError } from "../core/errors.ts";
import { parseFsVerityDigest } from "../core/fsverity/digest.ts";
import type { FsVerityDigest } from "../core/fsverity/digest.ts";

/**
 * What the kernel does with the fs-verity digests of backing files: nothing; compare them if it knows
 * the option; refuse every file whose digest is missing or wrong (and to mount if it cannot).
 */
export type VerityMode = "off" | "try" | "require";

/** Options of a mount. */
export interface MountOptions {
  /** Directories to look for backing files in, the first one first; at least one. */
  readonly basedirs: readonly ByteString[];
  /** The image's own fs-verity digest, which it must have. Implies `verity: "require"`. */
  readonly digest?: FsVerityDigest | undefined;
  /** `off` unless told, `require` with a digest. */
  readonly verity?: VerityMode | undefined;
  /** Where changes go; both or neither. */
  readonly upperdir?: ByteString | undefined;
  readonly workdir?: ByteString | undefined;
  /** Whether the mount refuses writes; matters only with an upperdir. */
  readonly readOnly?: boolean | undefined;
  /** A user namespace, as `/proc/<pid>/ns/user`, whose ID mapping the image's owners go through. */
  readonly idmap?: ByteString | undefined;
}

/** Options that cannot be read or contradict each other. */
export class MountOptionsError extends ComposefsError {
  override readonly name = "MountOptionsError";
  /** The bare reason; as C `mount.composefs` words it, where it has the case. */
  readonly reason: string;

  constructor(reason: string, hint?: string) {
    super(
      "invalid-mount-options",
      `Cannot use mount options: ${reason}`,
      hint === undefined ? {} : { hint },
    );
    this.reason = reason;
  }
}

/** Parses the text behind `-o`. Throws {@link MountOptionsError}, or `invalid-digest`. */
export function parseMountOptions(text: ByteString): MountOptions {
  let basedir: ByteString | undefined;
  let digest: FsVerityDigest | undefined;
  let verity: VerityMode | undefined;
  let upperdir: ByteString | undefined;
  let workdir: ByteString | undefined;
  let idmap: ByteString | undefined;
  let readOnly = false;

  for (const option of splitOptions(text)) {
    switch (option.key) {
      case "basedir":
        basedir = valueOf(option);
        break;
      case "digest":
        digest = parseFsVerityDigest(valueOf(option));
        break;
      case "upperdir":
        upperdir = valueOf(option);
        break;
      case "workdir":
        workdir = valueOf(option);
        break;
      case "idmap":
        idmap = valueOf(option);
        break;
      case "verity":
        verity = "require";
        break;
      case "tryverity":
        // In C the stronger of the two wins, in whatever order they come.
        if (verity !== "require") verity = "try";
        break;
      case "noverity":
        verity = "off";
        break;
      case "ro":
        readOnly = true;
        break;
      case "rw":
        readOnly = false;
        break;
      default:
        throw new MountOptionsError(`Unsupported option ${displayText(option.key)}`);
    }
  }

  const basedirs = basedir === undefined ? [] : splitBasedirs(basedir);
  return checkMountOptions({ basedirs, digest, verity, upperdir, workdir, readOnly, idmap });
}

/**
 * Returns the options with `verity` settled. Throws {@link MountOptionsError} where they contradict
 * each other.
 */
export function checkMountOptions<T extends MountOptions>(options: T): T & { verity: VerityMode } {
  if (options.basedirs.length === 0) {
    throw new MountOptionsError("No object dirs specified", "Add basedir=DIR, the object store");
  }
  if ((options.upperdir === undefined) !== (options.workdir === undefined)) {
    throw new MountOptionsError("Both workdir and upperdir must be specified if used");
  }
  if (options.digest === undefined) return { ...options, verity: options.verity ?? "off" };
  if (options.verity === "off") {
    throw new MountOptionsError(
      "Option noverity contradicts digest",
      "A digest vouches for the files only if the kernel checks theirs: leave one of the two out",
    );
  }
  return { ...options, verity: "require" };
}

interface GivenOption {
  readonly key: ByteString;
  readonly value: ByteString | undefined;
}

function* splitOptions(text: ByteString): Iterable<GivenOption> {
  for (let start = 0; start <= text.length;) {
    let equal = -1;
    let end = start;
    for (; end < text.length && text[end] !== ","; end++) {
      if (text[end] === "=" && equal < 0) equal = end;
      else if (text[end] === "\\" && end + 1 < text.length) end++;
    }
    yield {
      key: sliceByteString(text, start, equal < 0 ? end : equal),
      value: equal < 0 ? undefined : unescapeValue(sliceByteString(text, equal + 1, end)),
    };
    start = end + 1;
  }
}

/** Takes away each backslash that keeps a byte; a lone one at the end goes too. */
function unescapeValue(value: ByteString): ByteString {
  return value.replace(/\\(.?)/gs, "$1") as ByteString;
}

function valueOf(option: GivenOption): ByteString {
  if (option.value === undefined) {
    throw new MountOptionsError(`No value specified for ${option.key} option`);
  }
  return option.value;
}

function splitBasedirs(value: ByteString): ByteString[] {
  const basedirs = value.split(":") as ByteString[];
  if (basedirs.includes("" as ByteString)) {
    throw new MountOptionsError("Value for basedir option has incorrect format");
  }
  return basedirs;
}
