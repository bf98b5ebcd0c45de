/**
 * Mounts of all mount namespaces that this process can see, out of `/proc/PID/mountinfo`.
 *
 * Source: proc_pid_mountinfo(5). Namespaces that no process is in (kept by a bind mount of
 * `/proc/PID/ns/mnt`) are not found, nor are mounts that were detached and are still in use.
 */

import { readFileSync, readdirSync, readlinkSync } from "node:fs";

import type { ByteString } from "../../core/bytes/byte-string.ts";

/** A line of mountinfo that garbage collection looks at. */
export interface MountInfo {
  /** A process that sees the mount: `/proc/PID/root` leads into its namespace. */
  readonly pid: string;
  /** `major:minor` of the mounted file system: one for all mounts of the same. */
  readonly device: string;
  /** Which directory of the file system is mounted; `/` is all of it. */
  readonly root: ByteString;
  /** Path in the namespace of the process. */
  readonly mountPoint: ByteString;
  readonly fileSystem: string;
  readonly source: ByteString;
  /** Options of the file system, undone of their escapes. */
  readonly options: readonly ByteString[];
}

/** Parses the text of a mountinfo file; keeps the file systems asked for. */
export function parseMountInfo(
  text: string,
  pid: string,
  fileSystems: ReadonlySet<string>,
): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split("\n")) {
    const [before, after] = split(line, " - ");
    const [fileSystem = "", source = "", options = ""] = after.split(" ");
    const [, , device = "", root = "", mountPoint = ""] = before.split(" ");
    if (!fileSystems.has(fileSystem)) continue;
    mounts.push({
      pid,
      device,
      root: unescape(root),
      mountPoint: unescape(mountPoint),
      fileSystem,
      source: unescape(source),
      // A comma in a value is written as \054 or \, by those who care; the others cannot be told apart.
      options: options.split(/(?<!\\),/).map(unescape),
    });
  }
  return mounts;
}

/** The mounts of these file systems, each file system once a namespace. */
export function readMounts(fileSystems: ReadonlySet<string>): MountInfo[] {
  const seen = new Set<string>();
  const mounts: MountInfo[] = [];
  for (const pid of ["self", ...processes()]) {
    const namespace = namespaceOf(pid);
    // Where the link may not be read, the file below often may: then it is read for each process.
    if (namespace !== undefined && seen.has(namespace)) continue;
    if (namespace !== undefined) seen.add(namespace);
    const text = readText(`/proc/${pid}/mountinfo`);
    if (text !== undefined) mounts.push(...parseMountInfo(text, pid, fileSystems));
  }
  return mounts;
}

/** All processes that this one sees. */
export function processes(): string[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return []; // no /proc: no mounts to be seen
  }
}

function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined; // the process is gone, or another user's
  }
}

function split(line: string, separator: string): readonly [string, string] {
  const at = line.indexOf(separator);
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + separator.length)];
}

function unescape(text: string): ByteString {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  ) as ByteString;
}
