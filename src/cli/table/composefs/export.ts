/** The commands that bring OCI images out of a repository. */

import { PROGRESS_OPTIONS } from "../../arguments/progress-options.ts";
import { REPOSITORY_OPTIONS } from "../../arguments/repository-options.ts";
import { JSON_OPTION, jsonSection } from "../../command-line/spec.ts";
import type { CommandSpec, OptionSpec } from "../../command-line/spec.ts";

/** Of everything that writes images. */
const WRITE_OPTIONS: readonly OptionSpec[] = [
  {
    name: "compression",
    value: { label: "HOW", kind: { choices: ["gzip", "zstd", "zstd:chunked", "none"] } },
    brief: "Compress all layers so; unless told each as it was pulled",
    details: "From zstd:chunked those who have similar files pull only what they lack.",
  },
  {
    name: "level",
    value: { label: "N", kind: "number" },
    brief: "Compress with this level: 1 to 9 for gzip, 1 to 19 for zstd",
  },
  {
    name: "authfile",
    value: { label: "FILE", kind: "file" },
    brief: "Take the registry's credentials from this file",
  },
  {
    name: "tls-verify",
    value: { label: "BOOL", kind: { choices: ["true", "false"] } },
    brief:
      "Whether a registry needs a certificate that is right (what registries.conf says unless told)",
  },
  ...PROGRESS_OPTIONS,
  JSON_OPTION,
];

/** What both print with --json. */
const JSON_SECTION = jsonSection("One object:", [
  ["target", "where the image went"],
  ["manifestDigest", "digest of the manifest that was written"],
  ["originalManifestDigest", "digest of the manifest in the repository"],
  [
    "layers",
    "array of objects: diffId, digest and size as written, originalDigest, wasThere (in the target, before), and notChunked (why not)",
  ],
  ["seconds", "time it took"],
]);

const EXPORT: CommandSpec = {
  name: "export",
  brief: "Write an OCI image of a repository to a layout, an archive or a registry",
  description: [
    "Writes IMAGE to TARGET: oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG] or docker://NAME[:TAG]. IMAGE is a tag, or @ and the digest of a manifest, such as @sha256:…. Other images of a layout directory stay.",
    "The layers are made again out of the repository, and verified: content and diff IDs are those that were pulled. They are compressed again, so that their digests, and with them that of the manifest, are most often new, and signatures of the old manifest say nothing of the new one; the output tells both. With --compression=none the layers are exactly what the repository has.",
    "A layout or an archive is the old or the new one at any time, whatever interrupts the command.",
  ],
  operands: [
    { name: "IMAGE", kind: "text" },
    { name: "TARGET", kind: "text" },
  ],
  options: [...REPOSITORY_OPTIONS, ...WRITE_OPTIONS],
  examples: [
    {
      command: "composefs export debian oci-archive:debian.tar:debian",
      brief: "Write an archive that podman and skopeo read",
    },
    {
      command: "composefs export --compression=zstd debian oci:layout:v1",
      brief: "Add an image with layers of zstd to a layout directory",
    },
  ],
  sections: [JSON_SECTION],
};

const PUSH: CommandSpec = {
  name: "push",
  brief: "Push an OCI image of a repository to a registry",
  description: [
    "Writes IMAGE to the registry as NAME[:TAG]; unless told under the tag that it has in the repository. What the registry has is not sent. It is `composefs export` to docker://NAME, and what is said there of digests holds.",
    "The tag appears when everything else is there.",
  ],
  operands: [
    { name: "IMAGE", kind: "text" },
    { name: "NAME", kind: "text", optional: true },
  ],
  options: [
    ...REPOSITORY_OPTIONS,
    { name: "chunked", brief: "Compress the layers as zstd:chunked, for partial pulls" },
    ...WRITE_OPTIONS,
  ],
  examples: [
    {
      command: "composefs push debian registry.example/debian:trixie",
      brief: "Push an image under another name",
    },
    {
      command: "composefs push --chunked registry.example/debian:trixie",
      brief: "Push it so that updates of it are small",
    },
  ],
  sections: [JSON_SECTION],
};

/** In the order of the help. */
export const EXPORT_COMMANDS: readonly CommandSpec[] = [EXPORT, PUSH];
