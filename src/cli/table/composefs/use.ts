/** The commands that use images: mounts and containers. */

import { BASEDIR_OPTION } from "../../arguments/basedir-option.ts";
import { REPOSITORY_OPTIONS } from "../../arguments/repository-options.ts";
import type { CommandSpec } from "../../command-line/spec.ts";

const MOUNT: CommandSpec = {
  name: "mount",
  brief: "Mount an image",
  description: [
    "Mounts IMAGE on the directory MOUNTPOINT. If anything fails, nothing is left behind. See mount.composefs(8) for the form that mount(8) uses.",
    "IMAGE is a file, or an image of the repository: its tag, or `@` and the digest of its manifest. With an option that names the repository it is the latter; else if there is no such file. From a repository that requires fs-verity everything is mounted with digest and verity=require.",
  ],
  operands: [
    { name: "IMAGE", kind: "file" },
    { name: "MOUNTPOINT", kind: "directory" },
  ],
  options: [
    BASEDIR_OPTION,
    {
      name: "digest",
      value: { label: "DIGEST", kind: "text" },
      brief: "Mount only if fs-verity is enabled on the image with this digest",
    },
    {
      name: "verity",
      value: { label: "WHEN", kind: { choices: ["require", "try", "off"] } },
      brief: "Check the objects by fs-verity: require, try or off (off, with --digest require)",
    },
    {
      name: "upperdir",
      value: { label: "DIR", kind: "directory" },
      brief: "Writable upper directory",
    },
    {
      name: "workdir",
      value: { label: "DIR", kind: "directory" },
      brief: "Work directory that goes with it",
    },
    { name: "read-only", brief: "Mount read-only even with an upper directory" },
    {
      name: "idmap",
      value: { label: "PATH", kind: "file" },
      brief: "Map owners through this user namespace, such as /proc/PID/ns/user",
    },
    ...REPOSITORY_OPTIONS,
    { name: "bootable", brief: "Of an image of the repository, mount the form that is booted" },
    { name: "dry-run", brief: "Print the steps and do nothing" },
  ],
  examples: [
    { command: "composefs mount debian /mnt", brief: "Mount an image of the repository" },
    { command: "composefs mount --basedir=objects image.cfs /mnt", brief: "Mount an image" },
    {
      command: "composefs mount --dry-run --basedir=objects image.cfs /mnt",
      brief: "Show what would be done",
    },
  ],
};

const UMOUNT: CommandSpec = {
  name: "umount",
  brief: "Unmount an image",
  description: ["Unmounts what is mounted on MOUNTPOINT."],
  operands: [{ name: "MOUNTPOINT", kind: "directory" }],
  options: [],
  examples: [{ command: "composefs umount /mnt", brief: "Unmount" }],
};

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

/** In the order of the help. */
export const USE_COMMANDS: readonly CommandSpec[] = [MOUNT, UMOUNT, BUNDLE, UNBUNDLE];
