/** Trees with an SELinux policy, and a real policy: Debian's, which scripts/setup-selinux-policy.mjs gets. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { testCache } from "../../scripts/cache.mjs";
import { archive, header, member } from "./tar-bytes.ts";

const debian = join(testCache(), "selinux-policy");

/** Why there is no real policy; `undefined` when there is one. */
export const debianPolicyMissing: string | undefined = existsSync(join(debian, "ready"))
  ? undefined
  : "needs Debian's SELinux policy: run `npm test` once, or scripts/setup-selinux-policy.mjs";

/** Whether the set-up of tests can get it on this machine. */
export const debianPolicyObtainable: boolean = existsSync("/etc/debian_version");

/** The files of a policy by name, without `file_contexts` in front: "" or ".local". */
export type PolicyFiles = Readonly<Record<string, string | Uint8Array>>;

/** Debian's policy. */
export function debianPolicy(): PolicyFiles {
  const read = (suffix: string): Buffer => readFileSync(join(debian, `file_contexts${suffix}`));
  return { "": read(""), ".homedirs": read(".homedirs"), ".subs_dist": read(".subs_dist") };
}

const common = { magic: "ustar  \0", mtime: 1_234_567_890 };

/** A tar entry of a directory. */
export function directoryEntry(name: string): Buffer {
  return header({ ...common, name: `${name}/`, typeflag: "5", mode: 0o755 });
}

/** A tar entry of a file. */
export function fileEntry(name: string, content: string | Uint8Array = ""): Buffer {
  return member({ ...common, name }, content);
}

/** A tar entry of a hard link. */
export function hardLinkEntry(name: string, linkname: string): Buffer {
  return header({ ...common, name, typeflag: "1", linkname });
}

/** A bootable root with a policy and what else the entries say. */
export function policyArchive(files: PolicyFiles, ...entries: readonly Uint8Array[]): Buffer {
  const policy = "etc/selinux/test/contexts/files";
  const steps = policy.split("/").map((_, i, names) => names.slice(0, i + 1).join("/"));
  return archive(
    ...["usr", "boot", "sysroot", ...steps].map(directoryEntry),
    fileEntry("etc/selinux/config", "# a comment\nSELINUX=enforcing\nSELINUXTYPE=test\n"),
    ...Object.entries(files).map(([suffix, content]) =>
      fileEntry(`${policy}/file_contexts${suffix}`, content),
    ),
    ...entries,
  );
}
