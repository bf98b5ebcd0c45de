/** Seals: written, read, checked, and everything that is to be refused. */

import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ComposefsError,
  checkSealDigests,
  checkSealSignatures,
  formatOciDigest,
  formatSealKey,
  formattedDigest,
  parseFsVerityDigest,
  parseManifest,
  parseSealKey,
  readArtifactSeal,
  readInlineSeal,
  sealArtifact,
  sealManifest,
} from "#src/core/mod.ts";
import type { FsVerityDigest, NewSealEntry, OciDigest, SealRole } from "#src/core/mod.ts";
import { expectError } from "../../support/expect-error.ts";

const ociDigest = (bytes: Uint8Array): OciDigest =>
  formatOciDigest("sha256", createHash("sha256").update(bytes).digest());
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const digest = (digit: string): FsVerityDigest => parseFsVerityDigest(digit.repeat(128));
const descriptor = (mediaType: string, text: string): object => ({
  mediaType,
  digest: ociDigest(Buffer.from(text)),
  size: text.length,
});

const IMAGE = json({
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: descriptor("application/vnd.oci.image.config.v1+json", "config"),
  layers: [
    descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "one"),
    {
      ...descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "two"),
      annotations: { own: "kept" },
    },
  ],
  annotations: { title: "x", [formatSealKey("merged", "sha512")]: "stale" },
});
const SUBJECT = ociDigest(IMAGE);
const SUBJECT_DESCRIPTOR = {
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  digest: SUBJECT,
  size: IMAGE.length,
};

const sig = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const entry = (role: SealRole, digit: string, signature?: string): NewSealEntry => ({
  role,
  digest: digest(digit),
  signature: signature === undefined ? undefined : sig(signature),
});
const SIGNED = [
  entry("manifest", "a", "A"),
  entry("config", "b", "B"),
  entry("merged", "c", "C"),
  entry("merged.bootable", "d", "D"),
];

type Json = Record<string, unknown>;

/** The artifact of these entries, changed. */
function artifactOf(
  entries: readonly NewSealEntry[],
  change: (artifact: Json & { layers: Json[] }) => void = () => {},
): ReturnType<typeof parseManifest> {
  const { manifest } = sealArtifact(SUBJECT_DESCRIPTOR, "sha512", entries, ociDigest);
  const artifact = JSON.parse(Buffer.from(manifest).toString()) as Json & { layers: Json[] };
  change(artifact);
  return parseManifest(json(artifact));
}

describe("parseSealKey", () => {
  test.each<[string, object]>([
    [
      "composefs.layer.erofs.v1.fsverity-sha512-12",
      { role: "layer", erofsVersion: 1, algorithm: "sha512", lgBlockSize: 12, isSignature: false },
    ],
    [
      "composefs.merged.erofs.v2.fsverity-sha256-16.sig",
      { role: "merged", erofsVersion: 2, algorithm: "sha256", lgBlockSize: 16, isSignature: true },
    ],
    [
      "composefs.merged.bootable.erofs.v1.fsverity-sha256-12",
      {
        role: "merged.bootable",
        erofsVersion: 1,
        algorithm: "sha256",
        lgBlockSize: 12,
        isSignature: false,
      },
    ],
    [
      "composefs.config.fsverity-sha512-12.sig",
      {
        role: "config",
        erofsVersion: undefined,
        algorithm: "sha512",
        lgBlockSize: 12,
        isSignature: true,
      },
    ],
    [
      "composefs.manifest.fsverity-sha512-12",
      {
        role: "manifest",
        erofsVersion: undefined,
        algorithm: "sha512",
        lgBlockSize: 12,
        isSignature: false,
      },
    ],
  ])("%s", (text, key) => {
    expect(parseSealKey(text)).toEqual(key);
  });

  test.each([
    "",
    "composefs.merged.fsverity-sha512-12",
    "composefs.config.erofs.v1.fsverity-sha512-12",
    "composefs.merged.erofs.v0.fsverity-sha512-12",
    "composefs.merged.erofs.v1.fsverity-sha1-12",
    "composefs.merged.erofs.v1.fsverity-sha512-13",
    "composefs.merged.erofs.v1.fsverity-sha512-12.sig.sig",
    "Composefs.config.fsverity-sha512-12",
    "composefs.config.fsverity-sha512-12\n",
    "composefs.merged.unbootable.erofs.v1.fsverity-sha512-12",
  ])("%j is none", (text) => {
    expect(parseSealKey(text)).toBeUndefined();
  });

  test("reads what formatSealKey writes", () => {
    for (const role of ["manifest", "config", "layer", "merged", "merged.bootable"] as const) {
      for (const algorithm of ["sha256", "sha512"] as const) {
        expect(parseSealKey(formatSealKey(role, algorithm))).toMatchObject({ role, algorithm });
        const key = formatSealKey(role, algorithm, "signature");
        expect(parseSealKey(key)).toMatchObject({ role, algorithm, isSignature: true });
      }
    }
  });
});

describe("a seal in the manifest", () => {
  const entries = [
    entry("config", "b", "B"),
    { ...entry("layer", "1", "L"), layer: 1 },
    { ...entry("layer", "0"), layer: 0 },
    entry("merged", "c", "C"),
    entry("merged.bootable", "d", "D"),
  ];

  test("is read as it was written, and the rest of the manifest stays", () => {
    const bytes = sealManifest(IMAGE, "sha512", entries);
    const manifest = parseManifest(bytes);
    expect(readInlineSeal(manifest, "sha512")).toEqual({
      mode: "inline",
      algorithm: "sha512",
      entries: [entries[0], entries[2], entries[1], entries[3], entries[4]].map((each) => ({
        layer: undefined,
        ...each,
      })),
    });
    expect(readInlineSeal(manifest, "sha256")).toBeUndefined();
    expect(manifest.annotations["title"]).toBe("x");
    expect(manifest.layers[1]!.annotations["own"]).toBe("kept");
    const plain = JSON.parse(IMAGE.toString()) as Json;
    const sealed = JSON.parse(Buffer.from(bytes).toString()) as Json;
    expect(Object.keys(sealed)).toEqual(Object.keys(plain));
  });

  test("in two algorithms: each is read alone", () => {
    const other = [
      { role: "merged", digest: parseFsVerityDigest("e".repeat(64)), signature: undefined },
    ] as const;
    const both = parseManifest(
      sealManifest(sealManifest(IMAGE, "sha512", entries), "sha256", other),
    );
    expect(readInlineSeal(both, "sha512")!.entries.length).toBe(5);
    expect(readInlineSeal(both, "sha256")!.entries.length).toBe(1);
  });

  const key = (role: SealRole, kind?: "signature"): string => formatSealKey(role, "sha512", kind);
  const inPlace = (place: "config" | "layer" | "top", annotations: Json): Buffer => {
    const manifest = JSON.parse(
      Buffer.from(sealManifest(IMAGE, "sha512", entries)).toString(),
    ) as Json & {
      config: Json;
      layers: Json[];
    };
    const at = { config: manifest.config, layer: manifest.layers[0]!, top: manifest }[place];
    at["annotations"] = { ...(at["annotations"] as Json), ...annotations };
    return json(manifest);
  };

  test.each<[string, Buffer, RegExp]>([
    ["in capitals", inPlace("top", { [key("merged")]: "C".repeat(128) }), /as sha512 digest/],
    ["too short", inPlace("top", { [key("merged")]: "c".repeat(64) }), /as sha512 digest/],
    [
      "of the config at the top",
      inPlace("top", { [key("config")]: "c".repeat(128) }),
      /does not belong there/,
    ],
    [
      "of the merged layers in a layer",
      inPlace("layer", { [key("merged")]: "c".repeat(128) }),
      /does not belong there/,
    ],
    [
      "of the manifest in itself",
      inPlace("top", { [key("manifest")]: "c".repeat(128) }),
      /does not belong there/,
    ],
    [
      "signed, but not there",
      json({
        ...JSON.parse(IMAGE.toString()),
        annotations: { [key("merged", "signature")]: "QQ==" },
      }),
      /but no digest/,
    ],
    [
      "with a signature that is not base64",
      inPlace("top", { [key("merged", "signature")]: "!" }),
      /not base64/,
    ],
    ["with an empty signature", inPlace("top", { [key("merged", "signature")]: "" }), /not base64/],
  ])("a digest %s is refused", (_, bytes, message) => {
    expectError(() => readInlineSeal(parseManifest(bytes), "sha512"), "invalid-signature", message);
  });

  test("with signatures needs one of the config", () => {
    const bytes = sealManifest(IMAGE, "sha512", [entry("config", "b"), entry("merged", "c", "C")]);
    expectError(
      () => readInlineSeal(parseManifest(bytes), "sha512"),
      "invalid-signature",
      /none of the config/,
    );
  });

  test("of a version, or block size, to come is none", () => {
    const bytes = json({
      ...JSON.parse(IMAGE.toString()),
      annotations: {
        "composefs.merged.erofs.v2.fsverity-sha512-12": "x",
        "composefs.merged.erofs.v1.fsverity-sha512-16": "x",
      },
    });
    expect(readInlineSeal(parseManifest(bytes), "sha512")).toBeUndefined();
  });
});

describe("a seal in an artifact", () => {
  test("has the form that the specification gives", () => {
    const { manifest, blobs } = sealArtifact(SUBJECT_DESCRIPTOR, "sha512", SIGNED, ociDigest);
    const type = "application/vnd.composefs.signature.v1+pkcs7";
    const layer = (role: string, digit: string, text: string): object => ({
      ...descriptor(type, text),
      annotations: { [`composefs.${role}.fsverity-sha512-12`]: digit.repeat(128) },
    });
    expect(JSON.parse(Buffer.from(manifest).toString())).toEqual({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      artifactType: "application/vnd.composefs.metadata.v1",
      config: {
        mediaType: "application/vnd.oci.empty.v1+json",
        digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        size: 2,
      },
      layers: [
        layer("manifest", "a", "A"),
        layer("config", "b", "B"),
        layer("merged.erofs.v1", "c", "C"),
        layer("merged.bootable.erofs.v1", "d", "D"),
      ],
      subject: SUBJECT_DESCRIPTOR,
    });
    for (const { descriptor: each, bytes } of blobs) {
      expect(each).toMatchObject({ digest: ociDigest(bytes), size: bytes.length });
    }
    expect(blobs.length).toBe(5);
  });

  test("is read as it was written", () => {
    const seal = readArtifactSeal(artifactOf(SIGNED), SUBJECT);
    expect(seal.entries.map(({ role, digest: each }) => [role, each])).toEqual(
      SIGNED.map(({ role, digest: each }) => [role, each]),
    );
    expect(seal.entries[2]!.signature).toMatchObject({ digest: ociDigest(sig("C")), size: 1 });
    const bare = readArtifactSeal(artifactOf([entry("merged", "c")]), SUBJECT);
    expect(bare.entries).toEqual([
      { role: "merged", layer: undefined, digest: digest("c"), signature: undefined },
    ]);
  });

  test("of another image is refused", () => {
    const other = ociDigest(Buffer.from("other"));
    expectError(
      () => readArtifactSeal(artifactOf(SIGNED), other),
      "invalid-signature",
      /about the manifest/,
    );
    const nobody = artifactOf(SIGNED, (artifact) => delete artifact["subject"]);
    expectError(() => readArtifactSeal(nobody, SUBJECT), "invalid-signature", /of nobody/);
  });

  const sha256Key = formatSealKey("config", "sha256");
  test.each<
    [string, readonly NewSealEntry[], (artifact: Json & { layers: Json[] }) => void, RegExp]
  >([
    ["of another type", SIGNED, (artifact) => (artifact["artifactType"] = "x/y"), /artifact type/],
    ["without a type", SIGNED, (artifact) => delete artifact["artifactType"], /artifact type/],
    ["out of order", SIGNED, ({ layers }) => layers.reverse(), /out of order/],
    ["with a role twice", SIGNED, ({ layers }) => layers.push(layers[3]!), /out of order/],
    [
      "without the merged layers",
      SIGNED,
      ({ layers }) => layers.splice(2, 1),
      /no digest of the merged/,
    ],
    ["without anything", SIGNED, ({ layers }) => layers.splice(0), /no digest of the merged/],
    [
      "with signatures, but none of the manifest",
      SIGNED,
      ({ layers }) => layers.splice(0, 1),
      /none of the manifest/,
    ],
    [
      "with signatures, but none of the config",
      SIGNED,
      ({ layers }) => layers.splice(1, 1),
      /none of the config/,
    ],
    [
      "with one signature alone",
      [entry("manifest", "a"), entry("config", "b"), entry("merged", "c", "C")],
      () => {},
      /none of the manifest/,
    ],
    [
      "of two algorithms",
      SIGNED,
      ({ layers }) => (layers[1]!["annotations"] = { [sha256Key]: "b".repeat(64) }),
      /digests of sha512 and of sha256/,
    ],
    [
      "with two digests at once",
      SIGNED,
      ({ layers }) =>
        Object.assign(layers[1]!["annotations"] as Json, { [sha256Key]: "b".repeat(64) }),
      /exactly one digest/,
    ],
    [
      "with a blob about nothing",
      SIGNED,
      ({ layers }) => (layers[1]!["annotations"] = {}),
      /exactly one digest/,
    ],
    [
      "with a signature for a key",
      SIGNED,
      ({ layers }) => (layers[1]!["annotations"] = { [`${sha256Key}.sig`]: "x" }),
      /exactly one digest/,
    ],
    [
      "with a layer of the image",
      SIGNED,
      ({ layers }) =>
        (layers[1]!["annotations"] = { [formatSealKey("layer", "sha512")]: "b".repeat(128) }),
      /which no artifact has/,
    ],
    [
      "with blobs of another type",
      SIGNED,
      ({ layers }) => (layers[1]!["mediaType"] = "x/y"),
      /neither a signature nor empty/,
    ],
    [
      "with a digest that is none",
      SIGNED,
      ({ layers }) => (layers[1]!["annotations"] = { [formatSealKey("config", "sha512")]: "b" }),
      /as sha512 digest/,
    ],
    [
      "with a version to come",
      SIGNED,
      ({ layers }) =>
        (layers[2]!["annotations"] = {
          "composefs.merged.erofs.v2.fsverity-sha512-12": "b".repeat(128),
        }),
      /to come/,
    ],
  ])("%s is refused", (_, entries, change, message) => {
    expectError(
      () => readArtifactSeal(artifactOf(entries, change), SUBJECT),
      "invalid-signature",
      message,
    );
  });

  test("any document is read or refused", () => {
    const text = fc.oneof(
      fc.constantFrom(...SIGNED.map(({ role }) => formatSealKey(role, "sha512")), "x"),
      fc.string(),
    );
    const layer = fc.record({
      mediaType: fc.constantFrom(
        "application/vnd.composefs.signature.v1+pkcs7",
        "application/vnd.oci.empty.v1+json",
        "x/y",
      ),
      digest: fc.constant(SUBJECT),
      size: fc.nat(),
      annotations: fc.dictionary(text, fc.oneof(fc.constant("a".repeat(128)), fc.string())),
    });
    fc.assert(
      fc.property(fc.array(layer, { maxLength: 5 }), (layers) => {
        const artifact = artifactOf(SIGNED, (each) => (each.layers = layers as unknown as Json[]));
        try {
          expect(readArtifactSeal(artifact, SUBJECT).entries.map(({ role }) => role)).toContain(
            "merged",
          );
          readInlineSeal(artifact, "sha512");
        } catch (error) {
          if (!(error instanceof ComposefsError)) throw error;
          expect(error.code).toBe("invalid-signature");
        }
      }),
    );
  });
});

describe("checkSealDigests and checkSealSignatures", () => {
  const seal = readArtifactSeal(artifactOf(SIGNED), SUBJECT);
  const digests = new Map(SIGNED.map(({ role, digest: each }) => [role, each]));

  test("ask for each digest, and say which one is another", () => {
    checkSealDigests(seal, { digestOf: (role) => digests.get(role)! });
    for (const { role } of SIGNED) {
      const digestOf = (asked: SealRole): FsVerityDigest =>
        asked === role ? digest("f") : digests.get(asked)!;
      expectError(
        () => checkSealDigests(seal, { digestOf }),
        "verity-mismatch",
        /has the digest f{128}/,
      );
    }
  });

  test("hand each signature over with the bytes that it is made over", () => {
    const seen: unknown[] = [];
    const signatures = ["A", "B", "C", "D"].map(sig);
    checkSealSignatures(seal, signatures, (signature, bytes) => seen.push([signature, bytes]));
    expect(seen).toEqual(
      SIGNED.map(({ digest: each }, i) => [signatures[i], formattedDigest(each)]),
    );
  });

  test("refuse a seal without the signatures that matter", () => {
    const nothing = (): void => {};
    for (let i = 0; i < 4; i++) {
      const signatures = ["A", "B", "C", "D"].map((text, at) => (at === i ? undefined : sig(text)));
      expectError(
        () => checkSealSignatures(seal, signatures, nothing),
        "invalid-signature",
        /is not signed/,
      );
    }
    const bare = readArtifactSeal(artifactOf([entry("merged", "c")]), SUBJECT);
    expectError(
      () => checkSealSignatures(bare, [sig("C")], nothing),
      "invalid-signature",
      /config is not signed/,
    );
    const inline = parseManifest(sealManifest(IMAGE, "sha512", [entry("merged", "c")]));
    expectError(
      () => checkSealSignatures(readInlineSeal(inline, "sha512")!, [undefined], nothing),
      "invalid-signature",
      /config is not signed/,
    );
  });
});
