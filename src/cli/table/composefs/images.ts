/** The commands about OCI images in a repository. */

import { PROGRESS_OPTIONS } from "../../arguments/progress-options.ts";
import { SOURCE_OPTIONS } from "../../arguments/source-options.ts";
import { REPOSITORY_OPTIONS } from "../../arguments/repository-options.ts";
import { TRUST_OPTION } from "../../arguments/seal-files.ts";
import { JSON_OPTION, jsonSection } from "../../command-line/spec.ts";
import type { CommandSpec } from "../../command-line/spec.ts";

/** How images in a repository are named. */
const REFERENCES =
  "IMAGE is a tag, or @ and the digest of a manifest, such as @sha256:…; `composefs images` lists both.";

const EROFS_TERM: readonly [string, string] = [
  "erofs",
  "array of objects: version, bootable, digest (fs-verity) of each EROFS image",
];

const PULL: CommandSpec = {
  name: "pull",
  brief: "Pull an OCI image into a repository",
  description: [
    "Fetches IMAGE, stores each of its files once, and makes the EROFS images that are mounted. Every byte is verified on the way: blobs, layers, manifest and config by their digests. What the repository has is not fetched; an image that is complete costs one request.",
    "IMAGE is docker://NAME or just NAME for a registry, oci:DIRECTORY[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME] or containers-storage:NAME. The image gets the tag TAG; unless told that is IMAGE, without docker://.",
    "The image becomes visible when all of it is on the disk. Whatever fails or is interrupted before, the same command goes on from the layers that were complete.",
  ],
  operands: [
    { name: "IMAGE", kind: "text" },
    { name: "TAG", kind: "text", optional: true },
  ],
  options: [
    ...REPOSITORY_OPTIONS,
    {
      name: "platform",
      value: { label: "OS/ARCH", kind: "text" },
      brief: "Which image of an index: linux/arm64/v8, say (that of this machine unless told)",
    },
    {
      name: "bootable",
      brief: "Make the EROFS image that a host boots from, as well",
      details:
        "In it /boot and /sysroot are empty, and files have the labels of the image's SELinux policy.",
    },
    {
      name: "keep-user-xattrs",
      brief: "Keep xattrs that begin with user. in the bootable image; its digest changes",
    },
    {
      name: "require-seal",
      brief: "Refuse an image without a seal that is signed by somebody trusted; needs --trust",
      details:
        "The seal may be in the manifest, or in an artifact that the registry or layout has about it, which is then stored as well. Otherwise nothing gets a name, and the status is 5. See `composefs verify`.",
    },
    TRUST_OPTION,
    {
      name: "layers-at-once",
      value: { label: "N", kind: "number" },
      brief: "Fetch so many layers at a time: 3, or as many as there are processors, unless told",
    },
    {
      name: "limit",
      value: { label: "NAME=N", kind: "text" },
      repeatable: true,
      brief: "Change a limit on what a layer may cost, see below; may be repeated",
    },
    {
      name: "no-partial",
      brief: "Fetch zstd:chunked layers whole, also where some of their files are here",
    },
    ...SOURCE_OPTIONS,
    ...PROGRESS_OPTIONS,
    JSON_OPTION,
  ],
  examples: [
    { command: "composefs pull docker.io/library/debian:trixie", brief: "Pull from a registry" },
    {
      command: "composefs pull oci:./layout:v1 my-image",
      brief: "Pull from an OCI layout directory, and tag it my-image",
    },
    {
      command: "composefs pull --require-seal --trust cert.pem registry.example/app:v1",
      brief: "Take the image only if the owner of the key to cert.pem has sealed it",
    },
    {
      command: "composefs pull --platform=linux/arm64 --json quay.io/fedora/fedora",
      brief: "Pull for another platform, and print what was done as JSON",
    },
  ],
  sections: [
    {
      title: "Limits",
      paragraphs: [
        "What a hostile layer can cost is bounded. --limit=NAME=N changes one of these, for images that are trusted:",
      ],
      terms: [
        ["entries", "files, directories and links of a layer (4000000)"],
        ["path-length", "bytes of a path or link target (4095)"],
        ["xattr-size", "bytes of all xattrs of one file (262144)"],
        ["extension-size", "bytes of the extension headers of one file (1048576)"],
        ["sparse-segments", "pieces of one sparse file (262144)"],
        ["sparse-size", "bytes of a sparse file with its holes (16 GiB)"],
        ["raw-size", "bytes of a layer that are not content (2 GiB)"],
        ["size", "bytes of a layer without compression (256 GiB)"],
        ["ratio", "how many times larger than its blob a layer of more than 1 GiB may be (250)"],
      ],
    },
    jsonSection(
      "One object; with --progress=json, objects with the key event come before it on standard error:",
      [
        ["outcome", "pulled, or up-to-date if there was nothing to do"],
        ["source", "where the image came from"],
        ["tag", "its tag"],
        ["kind", "image or artifact"],
        ["manifestDigest", "digest of the manifest, and configDigest that of the config"],
        ["manifestStream", "fs-verity digest of the stream of the manifest"],
        [
          "layers",
          "array of objects: digest, diffId, size of the blob, isPresent (before), fetched and unpacked bytes, entries; chunked for a zstd:chunked one: way (partial or whole), needed bytes and reused (files, bytes), or the reason",
        ],
        EROFS_TERM,
        [
          "objects",
          "counts of objects and bytes that were copied, reflinked, hardlinked or alreadyPresent",
        ],
        [
          "seal",
          "with --require-seal the seal that held: object of mode (inline or artifact) and artifact (digest of its manifest, or null); else null",
        ],
        ["seconds", "time it took"],
      ],
    ),
  ],
};

const IMAGES: CommandSpec = {
  name: "images",
  brief: "List the images of a repository",
  description: [
    "Lists the tags of the repository, and for each the digest of its manifest, its platform, how many layers it has, and what it costs: the size of all objects that it needs, the part that no other listed image needs, and the part that others need too.",
  ],
  operands: [],
  options: [...REPOSITORY_OPTIONS, JSON_OPTION],
  examples: [{ command: "composefs images", brief: "What is there, and what it costs" }],
  sections: [
    jsonSection("An array of one object for each tag:", [
      ["name", "the tag, as text"],
      ["manifestDigest", "digest of the manifest"],
      ["kind", "image or artifact; null for one that is damaged, and so are all keys but the next"],
      ["damage", "why it cannot be read, or null"],
      ["platform", "linux/amd64, say; null for an artifact"],
      ["created", "when it was made, as it says itself, or null"],
      ["layers", "number of layers, or of blobs of an artifact"],
      ["referrers", "array of digests of manifests that are about this one"],
      ["size", "bytes of the objects that it needs: uniqueSize and sharedSize together"],
      ["uniqueSize", "bytes of objects that no other listed image needs"],
      ["sharedSize", "bytes of objects that others need too"],
      ["erofs", "object: the digests of its EROFS images by their names in the config's stream"],
    ]),
  ],
};

const INSPECT: CommandSpec = {
  name: "inspect",
  brief: "Show what an image is",
  description: ["Shows the parts of an image of the repository, and how it is run.", REFERENCES],
  operands: [{ name: "IMAGE", kind: "text" }],
  options: [
    ...REPOSITORY_OPTIONS,
    { name: "manifest", brief: "Print the manifest as it is stored, byte for byte" },
    { name: "config", brief: "Print the config as it is stored, byte for byte" },
    JSON_OPTION,
  ],
  examples: [
    { command: "composefs inspect my-image", brief: "Show an image" },
    {
      command: "composefs inspect --config my-image | jq .config.Env",
      brief: "Show its environment",
    },
  ],
  sections: [
    jsonSection("One object:", [
      ["manifestDigest", "digest of the manifest, and configDigest that of the config"],
      ["kind", "image or artifact"],
      ["manifest", "the manifest, as JSON; config likewise"],
      [
        "layers",
        "array of objects: digest, diffId, mediaType, size, and stream, an fs-verity digest",
      ],
      ["erofs", "object: the digests of its EROFS images by their names in the config's stream"],
      ["referrers", "array of digests of manifests that are about this one"],
      ["tags", "array of the tags that it has"],
      ["size", "bytes of all objects that it needs"],
    ]),
  ],
};

const TAG: CommandSpec = {
  name: "tag",
  brief: "Give an image another name",
  description: [
    "Gives IMAGE the tag TAG. A tag that another image has is moved. Tags keep images: what has none is removed by the next garbage collection.",
    REFERENCES,
  ],
  operands: [
    { name: "IMAGE", kind: "text" },
    { name: "TAG", kind: "text" },
  ],
  options: [...REPOSITORY_OPTIONS, JSON_OPTION],
  examples: [{ command: "composefs tag my-image stable", brief: "Give my-image a second tag" }],
  sections: [
    jsonSection("One object:", [
      ["tag", "the tag"],
      ["manifestDigest", "the manifest that it names now"],
    ]),
  ],
};

const UNTAG: CommandSpec = {
  name: "untag",
  brief: "Remove a name of an image",
  description: [
    "Removes tags. An image that has no other is gone with the next `composefs repo gc`, and its objects that no other image needs.",
  ],
  operands: [{ name: "TAG", kind: "text", variadic: true }],
  options: [...REPOSITORY_OPTIONS, JSON_OPTION],
  examples: [{ command: "composefs untag stable", brief: "Remove one tag" }],
  sections: [jsonSection("One object:", [["untagged", "array of the tags that were removed"]])],
};

const RM: CommandSpec = {
  name: "rm",
  brief: "Remove images with all their names",
  description: [
    "Removes all tags of each IMAGE, and what keeps manifests that are about it, such as signatures. `composefs repo gc` then removes what no image needs any more; what is mounted goes on working.",
    REFERENCES,
  ],
  operands: [{ name: "IMAGE", kind: "text", variadic: true }],
  options: [
    ...REPOSITORY_OPTIONS,
    { name: "dry-run", short: "n", brief: "Print what would be removed and do nothing" },
    JSON_OPTION,
  ],
  examples: [
    { command: "composefs rm my-image && composefs repo gc", brief: "Remove an image for good" },
    { command: "composefs rm --dry-run my-image", brief: "Show which names it has" },
  ],
  sections: [
    jsonSection("One object:", [
      ["untagged", "array of the tags that were removed"],
      ["manifestDigests", "array of the digests of the images"],
      ["referrers", "array of digests of manifests that are kept no longer"],
      ["dryRun", "whether nothing was done"],
    ]),
  ],
};

/** The commands about OCI images. */
export const IMAGE_COMMANDS: readonly CommandSpec[] = [PULL, IMAGES, INSPECT, TAG, UNTAG, RM];
