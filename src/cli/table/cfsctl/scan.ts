/** `cfsctl`: the commands that read a directory. */

import type { ClapCommand } from "../../command-line/clap.ts";
import type { OptionSpec } from "../../command-line/spec.ts";

/** What `--xattrs` takes. */
const XATTR_MODES = ["allowlist-only", "keep-user-xattrs"] as const;

const NO_PROPAGATE: OptionSpec = {
  name: "no-propagate-usr-to-root",
  brief:
    "Take the tree as it is: `/` keeps its own metadata, `/run` its content, all files their xattrs",
};

export const BOOTABLE: OptionSpec = {
  name: "bootable",
  brief:
    "Make the tree of a bootable image: `/boot` and `/sysroot` are empty, labels come from its SELinux policy",
};

export const XATTRS: OptionSpec = {
  name: "xattrs",
  value: { label: "MODE", kind: { choices: XATTR_MODES } },
  brief:
    "Which xattrs stay: security.capability alone (allowlist-only, unless told), or user.* too",
};

/** The options of commands that read a directory. */
export const READ_OPTIONS: readonly OptionSpec[] = [BOOTABLE, NO_PROPAGATE, XATTRS];

const CANONICAL =
  "The tree gets its canonical form first, the one that an OCI image of the same files has: `/` takes the metadata of `/usr`, `/run` is empty, of xattrs only security.capability stays.";

export const COMPUTE_ID: ClapCommand = {
  name: "compute-id",
  brief: "Print the digest that the image of a directory would have",
  description: [
    "Reads a directory and prints the fs-verity digest of its image. Nothing is stored, and no repository is needed.",
    CANONICAL,
    "The hash is that of the repository, where there is one, else that of --hash, else sha512.",
  ],
  operands: [{ name: "PATH", kind: "directory" }],
  options: READ_OPTIONS,
  examples: [
    {
      command: "cfsctl --no-repo compute-id /srv/rootfs",
      brief: "The digest of a root file system",
    },
  ],
};

export const COMPUTE_KARG: ClapCommand = {
  name: "compute-karg",
  brief: "Print the kernel argument that seals the bootable image of a directory",
  description: [
    "As compute-id --bootable, and prints the argument for the kernel's command line: composefs.digest= for images of version 0 and 1, composefs= for those of version 2.",
  ],
  operands: [{ name: "PATH", kind: "directory" }],
  options: [NO_PROPAGATE],
  examples: [
    {
      command: "cfsctl --no-repo compute-karg /srv/rootfs",
      brief: "The argument for a root file system",
    },
  ],
};

export const CREATE_DUMPFILE: ClapCommand = {
  name: "create-dumpfile",
  brief: "Print a directory as composefs-dump(5)",
  description: [
    "Reads a directory and prints what its image would contain. Nothing is stored, and no repository is needed.",
    CANONICAL,
  ],
  operands: [{ name: "PATH", kind: "directory" }],
  options: READ_OPTIONS,
  examples: [
    {
      command: "cfsctl --no-repo create-dumpfile --no-propagate-usr-to-root /srv/rootfs",
      brief: "A directory as it is",
    },
  ],
};
