/** `composefs`: the table behind its commands, options, help, man page and completions. */

import { EXIT_MEANINGS } from "../../exit.ts";
import { HELP_OPTION, VERSION_OPTION } from "../../command-line/spec.ts";
import type { CommandSpec, ProgramSpec } from "../../command-line/spec.ts";
import { EXPORT_COMMANDS } from "./export.ts";
import { FILE_COMMANDS } from "./files.ts";
import { IMAGE_COMMANDS } from "./images.ts";
import { MK } from "./make.ts";
import { REPO_COMMANDS } from "./repo.ts";
import { USE_COMMANDS } from "./use.ts";
import { SEAL_COMMANDS } from "./seal.ts";

const COMPLETION: CommandSpec = {
  name: "completion",
  brief: "Print a completion script for a shell",
  description: [
    "Prints a script that completes the command lines of composefs, mkcomposefs, composefs-info, composefs-dump, mount.composefs and cfsctl in SHELL.",
  ],
  operands: [{ name: "SHELL", kind: { choices: ["bash", "zsh", "fish"] } }],
  options: [],
  examples: [
    { command: "source <(composefs completion bash)", brief: "In ~/.bashrc" },
    { command: "source <(composefs completion zsh)", brief: "In ~/.zshrc, after compinit" },
    { command: "composefs completion fish | source", brief: "In ~/.config/fish/config.fish" },
  ],
};

/** What the groups of commands are about, by the word that is typed first. */
export const COMMAND_GROUPS: Readonly<Record<string, string>> = {
  repo: "Makes and looks after repositories.",
};

export const COMPOSEFS: ProgramSpec & { readonly commands: readonly CommandSpec[] } = {
  name: "composefs",
  manual: 1,
  brief: "make, read, check and mount composefs images",
  description: [
    "A composefs image is a read-only file system tree in one small file: names and metadata are in the image, the content of files is in objects that many images share, and one fs-verity digest seals all of it.",
  ],
  operands: [],
  commands: [
    MK,
    ...FILE_COMMANDS,
    ...USE_COMMANDS,
    ...IMAGE_COMMANDS,
    ...EXPORT_COMMANDS,
    ...REPO_COMMANDS,
    ...SEAL_COMMANDS,
    COMPLETION,
  ],
  options: [HELP_OPTION, VERSION_OPTION],
  examples: [
    {
      command: "composefs mk --digest-store=objects rootfs image.cfs",
      brief: "Make an image of a directory",
    },
    { command: "composefs mount --basedir=objects image.cfs /mnt", brief: "Mount it" },
    { command: "composefs ls image.cfs", brief: "List it" },
  ],
  exitStatus: EXIT_MEANINGS,
  environment: [
    [
      "COMPOSEFS_REPO",
      "The repository of commands that use one, unless an option names it. Without it: for root /sysroot/composefs, else ~/.var/lib/composefs.",
    ],
    [
      "NO_COLOR",
      "If set and not empty, no colours are used. They are only used on a terminal anyway.",
    ],
  ],
  seeAlso: [
    "mkcomposefs(1)",
    "composefs-info(1)",
    "composefs-dump(1)",
    "mount.composefs(8)",
    "composefs-dump(5)",
  ],
};
