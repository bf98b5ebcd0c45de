/** The commands about the seals of images. */

import { REPOSITORY_OPTIONS } from "../../arguments/repository-options.ts";
import { TRUST_OPTION } from "../../arguments/seal-files.ts";
import { JSON_OPTION, jsonSection } from "../../command-line/spec.ts";
import type { CommandSpec } from "../../command-line/spec.ts";

const ENTRIES_TERM: readonly [string, string] = [
  "entries",
  "array of objects: role (manifest, config, layer, merged, merged.bootable), layer (a number, or null), digest",
];

const SEAL: CommandSpec = {
  name: "seal",
  brief: "Seal an image: say, and sign, which digests it must have",
  description: [
    "Computes the fs-verity digests of IMAGE, which is in the repository: of its manifest, its config, and the EROFS image of its layers. With --key they are signed, in the form that the kernel takes for fs-verity. The seal goes into an artifact that refers to the image, or, with --inline, into a new manifest.",
    "An artifact leaves the image as it is, and seals the manifest too; it has to be copied along. Inline, the seal goes wherever the image goes, but the manifest changes, and is not sealed itself.",
    "Keys and annotations are those of the sealing specification of composefs-rs.",
  ],
  operands: [{ name: "IMAGE", kind: "text" }],
  options: [
    ...REPOSITORY_OPTIONS,
    {
      name: "key",
      value: { label: "KEY", kind: "file" },
      brief: "Sign with this private key: RSA or ECDSA, PEM, without a passphrase",
    },
    {
      name: "cert",
      value: { label: "CERT", kind: "file" },
      brief: "The certificate that belongs to the key",
    },
    { name: "artifact", brief: "Put the seal into an artifact, as it is done unless told" },
    { name: "inline", brief: "Put the seal into a new manifest, which takes over the tag" },
    {
      name: "bootable",
      brief: "Seal what a host boots from as well",
      details: "Done without being told when the image was pulled with --bootable.",
    },
    {
      name: "layers",
      brief: "With --inline, seal each layer as well",
      details:
        "The specification does not say what the EROFS image of one layer is. Here it is the layer alone, its whiteouts applied to nothing; other programs may have another digest.",
    },
    {
      name: "tag",
      value: { label: "TAG", kind: "text" },
      brief: "Give the artifact, or the new manifest, this tag",
    },
    JSON_OPTION,
  ],
  examples: [
    {
      command: "composefs seal --key key.pem --cert cert.pem web",
      brief: "Sign the image with the tag web",
    },
    {
      command:
        "composefs seal --key key.pem --cert cert.pem --tag web-seal web && composefs export web-seal docker://registry.example/web:seal",
      brief: "Put the seal of an image that came from this registry beside it",
    },
    { command: "composefs seal --inline web", brief: "Write its digests into its manifest" },
  ],
  sections: [
    jsonSection("One object:", [
      ["mode", "inline or artifact"],
      ["manifestDigest", "the manifest that is sealed; with --inline the new one"],
      ["artifact", "digest of the manifest of the artifact, or null"],
      ["algorithm", "of the digests: sha256 or sha512"],
      ["isSigned", "true or false"],
      ["tag", "the tag that was set, or null"],
      ENTRIES_TERM,
    ]),
  ],
};

const VERIFY: CommandSpec = {
  name: "verify",
  brief: "Verify that an image is what its seal says",
  description: [
    "Looks for a seal of IMAGE, which is in the repository, in artifacts about it and in its manifest; makes the EROFS images anew from the layers, and compares all digests. With --trust the signatures must be there, and by somebody who is trusted.",
    "One seal that holds in every point is enough. Otherwise the command says why, and ends with status 5.",
  ],
  operands: [{ name: "IMAGE", kind: "text" }],
  options: [
    ...REPOSITORY_OPTIONS,
    TRUST_OPTION,
    {
      name: "layers",
      brief: "Compare the digests of single layers too, if there are any",
      details: "They must then be as `composefs seal --layers` makes them.",
    },
    JSON_OPTION,
  ],
  examples: [
    {
      command: "composefs verify --trust cert.pem web",
      brief: "Check that the image with the tag web is what the owner of the key has sealed",
    },
  ],
  sections: [
    jsonSection("One object, when the seal holds:", [
      ["mode", "inline or artifact"],
      ["manifestDigest", "the manifest of the image"],
      ["artifact", "digest of the manifest of the artifact, or null"],
      ["algorithm", "of the digests: sha256 or sha512"],
      ["isSigned", "whether signatures were checked: false without --trust"],
      ENTRIES_TERM,
    ]),
  ],
};

export const SEAL_COMMANDS: readonly CommandSpec[] = [SEAL, VERIFY];
