/** `cfsctl oci`: the commands for OCI images that are in the repository. */

import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { isOciDigest } from "../../../core/oci/mod.ts";
import type { ClapCommand } from "../../command-line/clap.ts";
import type { OperandSpec } from "../../command-line/spec.ts";
import { MOUNT_OPTIONS, MOUNT_RULES } from "./repository.ts";
import { BOOTABLE, XATTRS } from "./scan.ts";

const MANIFEST_REFERENCE =
  "The image is named by its tag, or by `@` and the digest of its manifest.";
const CONFIG_REFERENCE =
  "The image is named by its tag, or by `@` and the digest of its config; VERITY is the digest that the stream of this config must have.";

const REFERENCE: OperandSpec = { name: "IMAGE", kind: "text" };
const VERITY: OperandSpec = { name: "VERITY", kind: "text", optional: true };

/** What is wrong with a reference. */
function referenceProblem(text: ByteString): string | undefined {
  return text.startsWith("@") ? digestProblem(text.slice(1) as ByteString) : undefined;
}

function digestProblem(text: ByteString): string | undefined {
  return isOciDigest(text) ? undefined : "not the digest of an OCI document, as sha256:…";
}

export const OCI_COMMANDS: readonly ClapCommand[] = [
  {
    name: "oci images",
    brief: "List the tagged images",
    description: ["Shows the tags of OCI images and artifacts. What is damaged is left out."],
    operands: [],
    options: [{ name: "json", brief: "Print JSON" }],
    examples: [{ command: "cfsctl --repo repository oci images", brief: "As a table" }],
  },
  {
    name: "oci inspect",
    brief: "Show an image as JSON",
    description: [
      "Prints manifest and config, the manifests that are about this one, and the digests of its EROFS images.",
      MANIFEST_REFERENCE,
    ],
    operands: [REFERENCE],
    options: [
      { name: "manifest", brief: "Print the manifest, as it is stored" },
      { name: "config", brief: "Print the config, as it is stored" },
    ],
    exclusive: [["manifest", "config"]],
    checks: { IMAGE: referenceProblem },
    examples: [
      { command: "cfsctl --repo repository oci inspect web --config", brief: "How it is run" },
    ],
  },
  {
    name: "oci tag",
    brief: "Give an image another name",
    description: ["A name that another image has moves to this one. It must not begin with `@`."],
    operands: [
      { name: "DIGEST", kind: "text" },
      { name: "NAME", kind: "text" },
    ],
    options: [],
    checks: { DIGEST: digestProblem },
    examples: [
      {
        command: "cfsctl --repo repository oci tag sha256:DIGEST web:latest",
        brief: "Name a manifest",
      },
    ],
  },
  {
    name: "oci untag",
    brief: "Take a name away",
    description: ["An image without a name goes with the next garbage collection."],
    operands: [{ name: "NAME", kind: "text" }],
    options: [],
    examples: [{ command: "cfsctl --repo repository oci untag web:latest", brief: "Remove a tag" }],
  },
  {
    name: "oci layer",
    brief: "Write a layer to standard output",
    description: [
      "Writes the archive of a layer, bit for bit as it was pulled, without compression; or what is in it.",
    ],
    operands: [{ name: "DIFF_ID", kind: "text" }],
    options: [
      { name: "dumpfile", brief: "Print a line of composefs-dump(5) for each entry" },
      { name: "json", brief: "Print sizes and counts as JSON" },
    ],
    exclusive: [["dumpfile", "json"]],
    checks: { DIFF_ID: digestProblem },
    examples: [
      {
        command: "cfsctl --repo repository oci layer sha256:DIGEST | tar -t",
        brief: "List a layer",
      },
    ],
  },
  {
    name: "oci dump",
    brief: "Print the tree of an image as composefs-dump(5)",
    description: [
      "Merges the layers, and prints the tree in its canonical form.",
      CONFIG_REFERENCE,
    ],
    operands: [REFERENCE, VERITY],
    options: [BOOTABLE, XATTRS],
    checks: { IMAGE: referenceProblem },
    examples: [{ command: "cfsctl --repo repository oci dump web", brief: "All files" }],
  },
  {
    name: "oci compute-id",
    brief: "Print the digest of the EROFS image of an OCI image",
    description: [
      "Merges the layers and makes the image in memory; nothing is stored.",
      CONFIG_REFERENCE,
    ],
    operands: [REFERENCE, VERITY],
    options: [BOOTABLE, XATTRS],
    checks: { IMAGE: referenceProblem },
    examples: [
      {
        command: "cfsctl --repo repository oci compute-id web --bootable",
        brief: "For its boot entry",
      },
    ],
  },
  {
    name: "oci mount",
    brief: "Mount the EROFS image of an OCI image",
    description: [
      "Mounts what a pull has made. The image is named by its tag, or by the digest of its manifest, here without `@`.",
    ],
    operands: [
      { name: "IMAGE", kind: "text" },
      { name: "MOUNTPOINT", kind: "directory" },
    ],
    options: [{ name: "bootable", brief: "Mount the bootable EROFS image" }, ...MOUNT_OPTIONS],
    ...MOUNT_RULES,
    examples: [{ command: "cfsctl --repo repository oci mount web /mnt", brief: "By its tag" }],
  },
  {
    name: "oci pull",
    brief: "Get an image into the repository",
    description: [
      "Fetches what is not there of an image, verifies it, makes its EROFS image, and names it NAME, or IMAGE.",
      "IMAGE is docker://REGISTRY/NAME, oci:DIRECTORY, oci-archive:FILE or docker-archive:FILE, with a tag or digest behind it.",
      "With --expected-digest the bootable EROFS image of this digest is looked for among all formats and choices of xattrs, and kept; it is an error if there is none.",
    ],
    operands: [
      { name: "IMAGE", kind: "text" },
      { name: "NAME", kind: "text", optional: true },
    ],
    options: [
      { name: "bootable", brief: "Make the bootable EROFS image as well" },
      {
        name: "expected-digest",
        value: { label: "DIGEST", kind: "text" },
        brief: "The bootable EROFS image that has to come out; needs --bootable",
      },
      {
        name: "local-fetch",
        value: { label: "MODE", kind: { choices: ["disabled", "auto", "zerocopy"] } },
        brief: "Accepted and ignored: files of images on this machine are reflinked where possible",
      },
    ],
    requires: [["expected-digest", "bootable"]],
    examples: [
      {
        command: "cfsctl --repo repository oci pull oci:layout:latest web",
        brief: "Out of a directory",
      },
    ],
  },
  {
    name: "oci copy",
    brief: "Copy an image from another repository",
    description: [
      "Copies the image and its layers from the repository --from, also if that has another hash. Files are reflinked where that is possible.",
      MANIFEST_REFERENCE,
    ],
    operands: [REFERENCE],
    options: [
      {
        name: "from",
        value: { label: "PATH", kind: "directory" },
        brief: "The repository to copy from",
      },
      {
        name: "name",
        value: { label: "NAME", kind: "text" },
        brief: "The tag of the copy; without one the next garbage collection removes it",
      },
      { name: "zerocopy", brief: "Refuse a repository with another hash" },
    ],
    needed: ["from"],
    checks: { IMAGE: referenceProblem },
    examples: [
      {
        command: "cfsctl --repo repository oci copy web --from other --name web",
        brief: "With its name",
      },
    ],
  },
  {
    name: "oci prepare-boot",
    brief: "Make an image that can be booted, and its boot entry",
    description: [
      "Makes and stores the bootable EROFS image, writes the first boot entry that is found in the image to the boot partition, with the kernel argument that names the EROFS image, and makes the directories for the state of the system: state/deploy/DIGEST beside the repository.",
      "A boot entry is one of /boot/loader/entries, a unified kernel image, or a kernel in /usr/lib/modules.",
      CONFIG_REFERENCE,
    ],
    operands: [REFERENCE, VERITY],
    options: [
      {
        name: "bootdir",
        value: { label: "DIR", kind: "directory" },
        brief: "Where the boot partition is mounted; /boot unless told",
      },
      {
        name: "entry-id",
        value: { label: "ID", kind: "text" },
        brief: "The name of the boot entry, and of the directory with its files",
      },
      {
        name: "cmdline",
        value: { label: "ARGUMENT", kind: "text" },
        repeatable: true,
        brief: "One more kernel argument; can be repeated",
      },
    ],
    checks: { IMAGE: referenceProblem },
    examples: [
      {
        command: "cfsctl --repo repository oci prepare-boot os --bootdir /boot --cmdline quiet",
        brief: "For the next start",
      },
    ],
  },
  {
    name: "oci import-layer",
    brief: "Take a layer from standard input",
    description: [
      "Stores a tar archive, uncompressed, as the layer DIGEST, and prints the digest of its stream. The archive has to have this digest.",
    ],
    operands: [
      { name: "DIGEST", kind: "text" },
      { name: "NAME", kind: "text", optional: true },
    ],
    options: [],
    checks: { DIGEST: digestProblem },
    examples: [
      {
        command: "cfsctl --repo repository oci import-layer sha256:DIGEST < layer.tar",
        brief: "Import a file",
      },
    ],
  },
];
