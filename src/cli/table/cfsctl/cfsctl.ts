/** `cfsctl`: the table behind its options, commands, help, man page and completions. */

import type { ClapProgram } from "../../command-line/clap.ts";
import { VERSION_OPTION } from "../../command-line/spec.ts";
import {
  CAT,
  CREATE_IMAGE,
  DUMP_FILES,
  FSCK,
  GC,
  IMAGES,
  IMAGE_OBJECTS,
  IMPORT_IMAGE,
  INIT,
  MOUNT,
  OCI_FSCK,
  TRANSACTION,
} from "./repository.ts";
import { OCI_COMMANDS } from "./oci.ts";
import { COMPUTE_ID, COMPUTE_KARG, CREATE_DUMPFILE } from "./scan.ts";

/** Programs that answer to their names as commands of cfsctl. */
const TOOLS = ["mkcomposefs", "composefs-info", "mount.composefs"] as const;

export const CFSCTL = {
  name: "cfsctl",
  manual: 1,
  brief: "composefs repositories and OCI images, as composefs-rs has it",
  description: [
    "Stands in for cfsctl of composefs-rs 0.9: the same commands and options on the same repositories, with the same standard output and exit statuses. Who starts anew may like composefs(1) better.",
    "Options of the repository stand before the command. Not here are its commands for ostree, and its varlink service.",
    "Started as mkcomposefs, composefs-info or mount.composefs, or with one of these words first, it is that program.",
  ],
  operands: [],
  options: [
    {
      name: "repo",
      value: { label: "PATH", kind: "directory" },
      brief: "The repository",
    },
    { name: "user", brief: "The repository of the user: ~/.var/lib/composefs, unless root" },
    { name: "system", brief: "The repository of the machine: /sysroot/composefs, if root" },
    {
      name: "hash",
      value: { label: "HASH", kind: { choices: ["sha256", "sha512"] } },
      brief: "The hash of the repository: an error if it has another one",
    },
    {
      name: "erofs-version",
      value: { label: "VERSION", kind: { choices: ["0", "1", "2"] } },
      brief: "The format of images that this call makes, instead of the repository's",
    },
    {
      name: "insecure",
      brief: "Do not require fs-verity; a repository says itself whether it does",
    },
    { name: "require-verity", brief: "Refuse a repository that does not require fs-verity" },
    { name: "no-upgrade", brief: "Refuse a repository of the old kind, without meta.json" },
    { name: "no-repo", brief: "Use no repository, where a command can do without" },
    VERSION_OPTION,
  ],
  exclusive: [["repo", "user", "system"]],
  passedOn: TOOLS,
  commands: [
    INIT,
    CREATE_IMAGE,
    IMPORT_IMAGE,
    IMAGES,
    IMAGE_OBJECTS,
    DUMP_FILES,
    MOUNT,
    COMPUTE_ID,
    COMPUTE_KARG,
    CREATE_DUMPFILE,
    CAT,
    GC,
    FSCK,
    TRANSACTION,
    ...OCI_COMMANDS,
    OCI_FSCK,
  ],
  exitStatus: [
    [0, "Done."],
    [1, "It could not be done; the message says why."],
    [2, "The command line makes no sense; nothing was done."],
    [130, "Interrupted; what was half written is gone."],
  ],
  examples: [
    {
      command: "cfsctl --no-repo compute-id /srv/rootfs",
      brief: "The digest that an image of a directory would have",
    },
    {
      command: "cfsctl --repo repository create-image /srv/rootfs base",
      brief: "Store a root file system and its image",
    },
    {
      command: "cfsctl --repo repository oci pull docker://registry.example/web:latest web",
      brief: "Get a container image",
    },
  ],
  seeAlso: ["composefs(1)", "mkcomposefs(1)", "composefs-info(1)", "mount.composefs(8)"],
} as const satisfies ClapProgram;
