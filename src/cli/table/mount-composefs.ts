/** `mount.composefs`: the table behind its options, help, man page and completions. */

import { DROP_IN_EXIT_MEANINGS } from "../exit.ts";
import { VERSION_OPTION } from "../command-line/spec.ts";
import type { ProgramSpec } from "../command-line/spec.ts";

export const MOUNT_COMPOSEFS: ProgramSpec = {
  name: "mount.composefs",
  manual: 8,
  brief: "mount a composefs image",
  description: [
    "Mounts the composefs image IMAGE on the directory MOUNTPOINT: the image gives names and metadata, the base directories give the content of files. It is also the helper that mount(8) calls for `mount -t composefs`.",
    "If anything fails, no mount, loop device or temporary directory is left behind. A digest that is asked for and cannot be checked is an error.",
  ],
  operands: [
    { name: "IMAGE", kind: "file" },
    { name: "MOUNTPOINT", kind: "directory" },
  ],
  options: [
    {
      short: "o",
      value: { label: "OPT[,OPT...]", kind: "text" },
      brief: "Mount options, see below; the last -o counts",
    },
    {
      short: "t",
      value: { label: "TYPE", kind: { choices: ["composefs"] } },
      brief: "The file system type, which can only be composefs",
    },
    { short: "f", brief: "Fake: check everything that can be checked, and do not mount" },
    { short: "n", brief: "Accepted and ignored: there is no /etc/mtab to write" },
    {
      short: "s",
      brief: "Accepted and ignored: mount options that are not known are refused all the same",
    },
    { short: "v", brief: "Say on standard error what is done" },
    { name: "help", short: "h", brief: "Show this help and exit" },
    VERSION_OPTION,
  ],
  examples: [
    {
      command: "mount.composefs -o basedir=objects image.cfs /mnt",
      brief: "Mount an image with the objects that mkcomposefs --digest-store made",
    },
    {
      command: "mount -t composefs -o basedir=/srv/objects,digest=DIGEST /srv/image.cfs /mnt",
      brief: "The same through mount(8), and only if the image has this digest",
    },
    {
      command: "mount.composefs -o basedir=objects,upperdir=up,workdir=work image.cfs /mnt",
      brief: "Mount with a writable layer on top",
    },
  ],
  sections: [
    {
      title: "Mount options",
      paragraphs: [
        "Options are separated by commas. A backslash takes the special meaning from the character after it, in values and before a comma.",
      ],
      terms: [
        ["basedir=PATH[:PATH...]", "Directories to look for objects in. Needed."],
        [
          "digest=DIGEST",
          "Mount only if fs-verity is enabled on the image and its digest is this one. Implies verity.",
        ],
        [
          "verity",
          "Require that each file of the image has a digest, and that its object has fs-verity with that digest. Needs Linux 6.6.",
        ],
        ["tryverity", "Do so where the kernel can, else mount without."],
        [
          "noverity",
          "Check no digests: the default, which overrides verity and tryverity before it.",
        ],
        ["upperdir=PATH", "Writable upper directory; needs workdir."],
        [
          "workdir=PATH",
          "Work directory of overlayfs, on the same file system as upperdir; needs upperdir.",
        ],
        ["ro", "Mount read-only."],
        ["rw", "Take back an earlier ro."],
        ["idmap=PATH", "Map owners through the user namespace at PATH, such as /proc/PID/ns/user."],
      ],
    },
  ],
  exitStatus: DROP_IN_EXIT_MEANINGS,
  seeAlso: ["mount(8)", "composefs(1)", "mkcomposefs(1)"],
};
