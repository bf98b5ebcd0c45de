/** The commands that use images of a repository: containers. */

import { REPOSITORY_OPTIONS } from "../arguments/repository-options.ts";
import type { CommandSpec } from "../command-line/spec.ts";

const BUNDLE: CommandSpec = {
  name: "bundle",
  brief: "Make an OCI runtime bundle of an image",
  description: [
    "Makes the directory DIR, which `crun run --bundle DIR NAME` or runc runs as a container, of an image in the repository: `config.json` from the image's config, and `rootfs`, a composefs mount of the image with a writable layer over it. Two bundles of images that have a file in common share its page cache.",
    "COMMAND is what the container runs, instead of the image's. With an option among its words, `--` goes before it. `composefs unbundle` removes the bundle.",
  ],
  operands: [
    { name: "IMAGE", kind: "text" },
    { name: "DIR", kind: "directory" },
    { name: "COMMAND", kind: "text", optional: true, variadic: true },
  ],
  options: [
    ...REPOSITORY_OPTIONS,
    { name: "read-only", brief: "Make the root file system read-only, without a layer over it" },
    { name: "terminal", short: "t", brief: "Give the container a terminal" },
    {
      name: "env",
      short: "e",
      value: { label: "NAME=VALUE", kind: "text" },
      repeatable: true,
      brief: "Set a variable of the environment; may be repeated",
    },
    {
      name: "run-as",
      value: { label: "USER[:GROUP]", kind: "text" },
      brief: "Run as another user than the image says; names are those of the image",
    },
    { name: "hostname", value: { label: "NAME", kind: "text" }, brief: "Set the host name" },
    {
      name: "host-network",
      brief: "Use the network of the host (unless told, there is no network)",
    },
  ],
  examples: [
    { command: "composefs bundle debian web -- /bin/ls -l", brief: "Make a bundle" },
    {
      command: "composefs bundle --read-only --run-as=nobody debian web",
      brief: "Nothing can be written, and not by root",
    },
    { command: "composefs unbundle web", brief: "Unmount and remove it" },
  ],
};

const UNBUNDLE: CommandSpec = {
  name: "unbundle",
  brief: "Unmount and remove an OCI runtime bundle",
  description: [
    "Unmounts the root file system of the bundle DIR, and removes the directory with what the container has written. Fails while the container runs.",
  ],
  operands: [{ name: "DIR", kind: "directory" }],
  options: [{ name: "keep-changes", brief: "Keep what the container has written, in DIR/upper" }],
  examples: [{ command: "composefs unbundle web", brief: "Remove a bundle" }],
};

export const USE_COMMANDS: readonly CommandSpec[] = [BUNDLE, UNBUNDLE];
