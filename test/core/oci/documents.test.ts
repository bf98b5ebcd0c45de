import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ComposefsError,
  MEDIA_TYPE,
  choosePlatform,
  isOciDigest,
  layerCompression,
  layerMediaType,
  ociDigestAlgorithm,
  ociDigestHex,
  parseImageConfig,
  parseIndex,
  parseManifest,
  parseOciDigest,
  parsePlatform,
  formatPlatform,
} from "#src/core/mod.ts";
import {
  descriptorOf,
  jsonBytes,
  ociDigestOf,
  sampleManifest,
} from "../../support/oci-documents.ts";

const codeOf = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    if (error instanceof ComposefsError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "accepted";
};

describe("OCI digests", () => {
  test("are sha256 or sha512 in lower case", () => {
    const [a, b] = [ociDigestOf("x"), ociDigestOf("x", "sha512")];
    expect([parseOciDigest(a), parseOciDigest(b)]).toEqual([a, b]);
    expect([ociDigestAlgorithm(a), ociDigestAlgorithm(b)]).toEqual(["sha256", "sha512"]);
    expect([ociDigestHex(a).length, ociDigestHex(b).length]).toEqual([64, 128]);
  });

  test.each([
    "",
    "sha256",
    "sha256:",
    `sha256:${"a".repeat(63)}`,
    `sha256:${"A".repeat(64)}`,
    `sha256:${"a".repeat(64)}\n`,
    `sha256:${"a".repeat(64)}/..`,
    `sha256:../../${"a".repeat(58)}`,
    `sha512:${"a".repeat(64)}`,
    `sha384:${"a".repeat(96)}`,
    `md5:${"a".repeat(32)}`,
    "a".repeat(64),
  ])("are not %j", (text) => {
    expect(isOciDigest(text)).toBe(false);
    expect(codeOf(() => parseOciDigest(text))).toMatch(
      /^invalid-digest: Cannot parse OCI digest "/,
    );
  });
});

describe("media types of layers", () => {
  test.each([
    ["application/vnd.oci.image.layer.v1.tar", "none"],
    ["application/vnd.oci.image.layer.v1.tar+gzip", "gzip"],
    ["application/vnd.oci.image.layer.v1.tar+zstd", "zstd"],
    ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip"],
    ["application/vnd.docker.image.rootfs.diff.tar", "none"],
    ["application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip"],
    ["application/vnd.docker.image.rootfs.diff.tar.zstd", "zstd"],
    ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip"],
    ["application/vnd.oci.image.layer.v1.tar+xz", undefined],
    ["application/vnd.oci.image.config.v1+json", undefined],
    ["text/plain", undefined],
  ] as const)("%s is %s", (mediaType, compression) => {
    expect(layerCompression(mediaType)).toBe(compression);
  });

  test("layerMediaType is its inverse", () => {
    for (const compression of ["none", "gzip", "zstd"] as const) {
      expect(layerCompression(layerMediaType(compression))).toBe(compression);
    }
  });
});

describe("parseManifest", () => {
  test("reads config, layers, subject and annotations", () => {
    const sample = sampleManifest();
    const subject = descriptorOf("subject", MEDIA_TYPE.ociManifest);
    const annotations = { "org.example": "x", constructor: "y" };
    const parsed = parseManifest(
      jsonBytes({ ...sample, subject, annotations, artifactType: "application/x", more: 1 }),
      MEDIA_TYPE.ociManifest,
    );
    expect(parsed).toEqual({
      mediaType: MEDIA_TYPE.ociManifest,
      artifactType: "application/x",
      config: sample.config,
      layers: sample.layers,
      subject,
      annotations,
    });
    expect(parsed.config.annotations["constructor"]).toBeUndefined();
  });

  test("reads Docker's second schema, and manifests that do not tell their type", () => {
    const { mediaType: _, ...rest } = sampleManifest();
    expect(parseManifest(jsonBytes(rest)).mediaType).toBe(MEDIA_TYPE.ociManifest);
    const docker = jsonBytes({ ...rest, mediaType: MEDIA_TYPE.dockerManifest });
    expect(parseManifest(docker).mediaType).toBe(MEDIA_TYPE.dockerManifest);
  });

  test("takes null for nothing, as Go writes it", () => {
    const parsed = parseManifest(
      jsonBytes({ ...sampleManifest(), layers: null, annotations: null }),
    );
    expect([parsed.layers, parsed.annotations]).toEqual([[], {}]);
  });

  const broken = (change: (manifest: ReturnType<typeof sampleManifest>) => unknown): string =>
    codeOf(() => parseManifest(jsonBytes(change(sampleManifest()))));
  const layer = (change: object) => (manifest: ReturnType<typeof sampleManifest>) => ({
    ...manifest,
    layers: [manifest.layers[0], { ...manifest.layers[1], ...change }],
  });

  test.each([
    ["a layer of negative size", layer({ size: -1 }), "layers[1].size -1 is not a size"],
    ["a layer of half a byte", layer({ size: 0.5 }), "layers[1].size 0.5 is not a size"],
    [
      "a layer of 2^60 bytes",
      layer({ size: 2 ** 60 }),
      "layers[1].size 1152921504606847000 is not",
    ],
    ["a size in words", layer({ size: "5" }), 'layers[1].size "5" is not a size'],
    ["no digest", layer({ digest: undefined }), "layers[1].digest is missing"],
    [
      "a digest that is a path",
      layer({ digest: "sha256:../../etc/passwd" }),
      'layers[1].digest "sha256:../../etc/passwd" is not a sha256 or sha512 digest',
    ],
    [
      "a media type that is a list",
      layer({ mediaType: ["x"] }),
      "layers[1].mediaType is not a text",
    ],
    ["annotations that are a list", layer({ annotations: ["x"] }), "layers[1].annotations is not"],
    [
      "an annotation that is a number",
      layer({ annotations: { "a b": 1 } }),
      'layers[1].annotations."a b" is',
    ],
    [
      "a layer that is null",
      (m: object) => ({ ...m, layers: [null] }),
      "layers[0] is not an object",
    ],
    ["layers that are an object", (m: object) => ({ ...m, layers: {} }), "layers is not a list"],
    [
      "too many layers",
      (m: { layers: unknown[] }) => ({
        ...m,
        layers: Array.from({ length: 1025 }, () => m.layers[0]),
      }),
      "layers has 1025 entries, more than 1024",
    ],
    ["no config", (m: object) => ({ ...m, config: undefined }), "config is missing"],
    ["another version", (m: object) => ({ ...m, schemaVersion: 3 }), "schemaVersion is not 2"],
    ["manifests beside layers", (m: object) => ({ ...m, manifests: [] }), "it has manifests"],
    ["a list", () => [], "it is not an object"],
    ["null", () => null, "it is not an object"],
  ])("refuses %s", (_, change, reason) => {
    const message = broken(change);
    expect(message).toMatch(/^invalid-manifest: Cannot read OCI manifest: /);
    expect(message).toContain(reason);
  });

  test("refuses a document that says to be another one than was told", () => {
    const bytes = jsonBytes(sampleManifest());
    expect(codeOf(() => parseManifest(bytes, MEDIA_TYPE.dockerManifest))).toMatch(
      /^invalid-manifest/,
    );
    expect(codeOf(() => parseManifest(bytes, MEDIA_TYPE.ociIndex))).toMatch(/^invalid-manifest/);
    expect(codeOf(() => parseIndex(bytes))).toMatch(/^invalid-manifest/);
  });

  test("refuses what is neither, and says what it is", () => {
    expect(
      codeOf(() => parseManifest(jsonBytes({ ...sampleManifest(), mediaType: "text/x" }))),
    ).toMatch(/^unsupported-media-type: .*"text\/x"/);
    const schema1 = { schemaVersion: 1, fsLayers: [] };
    expect(codeOf(() => parseManifest(jsonBytes(schema1)))).toMatch(
      /^unsupported-media-type: .*first/,
    );
  });

  test("refuses what is not JSON, not UTF-8, or too large", () => {
    expect(codeOf(() => parseManifest(Buffer.from("{")))).toContain("it is not JSON");
    expect(codeOf(() => parseManifest(Buffer.from([0x22, 0xff, 0x22])))).toContain("not UTF-8");
    expect(codeOf(() => parseManifest(Buffer.alloc((1 << 24) + 1)))).toContain("more than");
    expect(codeOf(() => parseManifest(Buffer.from("[".repeat(1 << 20))))).toMatch(
      /^invalid-manifest/,
    );
  });
});

describe("parseIndex and choosePlatform", () => {
  const entry = (name: string, os?: string, architecture?: string, variant?: string): object => ({
    ...descriptorOf(name, MEDIA_TYPE.ociManifest),
    annotations: { name },
    ...(os === undefined ? {} : { platform: { os, architecture, variant } }),
  });
  const index = (...manifests: object[]) =>
    parseIndex(jsonBytes({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests }));
  const chosen = (wanted: string, ...manifests: object[]): string | undefined =>
    choosePlatform(index(...manifests), parsePlatform(wanted)).annotations["name"];

  test("takes the platform that was asked for", () => {
    const all = [
      entry("windows", "windows", "amd64"),
      entry("arm", "linux", "arm64", "v8"),
      entry("pc", "linux", "amd64"),
    ];
    expect(chosen("linux/amd64", ...all)).toBe("pc");
    expect(chosen("linux/x86_64", ...all)).toBe("pc");
    expect(chosen("linux/arm64", ...all)).toBe("arm");
    expect(chosen("linux/arm64/v8", ...all)).toBe("arm");
    expect(codeOf(() => chosen("linux/s390x", ...all))).toBe(
      "no-matching-platform: Cannot choose an image for linux/s390x from index: it has windows/amd64, linux/arm64/v8, linux/amd64",
    );
  });

  test("takes the best variant", () => {
    const arms = ["v5", "v6", "v7", "v8"].map((v) => entry(v, "linux", "arm", v));
    expect(chosen("linux/arm/v7", ...arms)).toBe("v7");
    expect(chosen("linux/arm/v7", ...arms.slice(0, 2))).toBe("v6");
    expect(chosen("linux/arm", ...arms)).toBe("v8");
    expect(chosen("linux/arm", ...arms, entry("any", "linux", "arm"))).toBe("any");
    const pcs = ["v1", "v2", "v3"].map((v) => entry(v, "linux", "amd64", v));
    expect(chosen("linux/amd64", ...pcs)).toBe("v1");
    expect(chosen("linux/amd64/v2", ...pcs)).toBe("v2");
    expect(codeOf(() => chosen("linux/amd64", pcs[2]!))).toMatch(/^no-matching-platform/);
  });

  test("takes zstd where both are there, and the first of equals", () => {
    const zstd = {
      ...entry("zstd", "linux", "amd64"),
      annotations: { name: "zstd", "io.github.containers.compression.zstd": "true" },
    };
    expect(chosen("linux/amd64", entry("gzip", "linux", "amd64"), zstd)).toBe("zstd");
    expect(chosen("linux/amd64", entry("a", "linux", "amd64"), entry("b", "linux", "amd64"))).toBe(
      "a",
    );
  });

  test("takes what tells no platform only where nothing else fits", () => {
    expect(chosen("linux/amd64", entry("none"), entry("pc", "linux", "amd64"))).toBe("pc");
    expect(chosen("linux/arm64", entry("none"), entry("pc", "linux", "amd64"))).toBe("none");
    expect(codeOf(() => chosen("linux/amd64"))).toContain("it is empty");
  });

  test("leaves attestations of buildkit alone", () => {
    const attestation = entry("attestation", "unknown", "unknown");
    expect(codeOf(() => chosen("linux/amd64", attestation))).toMatch(/^no-matching-platform/);
  });

  test("refuses layers beside manifests, and a platform without an architecture", () => {
    const both = { schemaVersion: 2, manifests: [], layers: [] };
    expect(codeOf(() => parseIndex(jsonBytes(both)))).toContain("it has layers");
    expect(codeOf(() => index(entry("x", "linux")))).toContain(
      "manifests[0].platform.architecture is",
    );
  });

  test.each([
    "",
    "linux",
    "linux/",
    "/amd64",
    "a/b/c/d",
    "linux/amd64/",
    "linux/a b",
    "linux/\u001b[0m",
  ])("parsePlatform refuses %j", (text) => {
    expect(codeOf(() => parsePlatform(text))).toMatch(/^invalid-reference: Cannot parse platform/);
  });

  test("formatPlatform gives back what was parsed", () => {
    for (const text of ["linux/amd64", "linux/arm/v7"]) {
      expect(formatPlatform(parsePlatform(text))).toBe(text);
    }
  });
});

describe("parseImageConfig", () => {
  const diffIds = [ociDigestOf("a"), ociDigestOf("b")];
  const sample = {
    architecture: "arm64",
    os: "linux",
    variant: "v8",
    created: "2026-01-02T03:04:05Z",
    config: {
      User: "1000:1000",
      Env: ["PATH=/bin", "LC_ALL=C"],
      Entrypoint: ["/bin/sh"],
      Cmd: null,
      WorkingDir: "/srv",
      StopSignal: "SIGINT",
      Labels: { a: "b" },
    },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: [{}],
  };

  test("reads what an image is and how it is run", () => {
    expect(parseImageConfig(jsonBytes(sample))).toEqual({
      platform: { os: "linux", architecture: "arm64", variant: "v8" },
      created: "2026-01-02T03:04:05Z",
      diffIds,
      run: {
        user: "1000:1000",
        env: ["PATH=/bin", "LC_ALL=C"],
        entrypoint: ["/bin/sh"],
        cmd: [],
        workingDir: "/srv",
        stopSignal: "SIGINT",
        labels: { a: "b" },
      },
    });
  });

  test("reads the smallest one", () => {
    const { architecture, os, rootfs } = sample;
    const parsed = parseImageConfig(jsonBytes({ architecture, os, rootfs }));
    expect(parsed).toMatchObject({ created: undefined, run: { user: "", env: [], cmd: [] } });
  });

  test.each([
    ["no rootfs", { rootfs: undefined }, "rootfs is missing"],
    ["a rootfs of another type", { rootfs: { type: "x" } }, 'rootfs.type is not "layers"'],
    ["a diff ID of no digest", { rootfs: { diff_ids: ["x"] } }, 'rootfs.diff_ids[0] "x" is not'],
    ["no architecture", { architecture: undefined }, "architecture is missing"],
    ["words that are numbers", { config: { Cmd: [1] } }, "config.Cmd[0] is not a text"],
  ])("refuses %s", (_, change, reason) => {
    const message = codeOf(() => parseImageConfig(jsonBytes({ ...sample, ...change })));
    expect(message).toMatch(/^invalid-manifest: Cannot read OCI image config: /);
    expect(message).toContain(reason);
  });
});

describe("hostile documents", () => {
  const samples = [
    jsonBytes({ ...sampleManifest(), annotations: { a: "b" } }),
    jsonBytes({
      schemaVersion: 2,
      manifests: [{ ...sampleManifest().config, platform: { os: "a", architecture: "b" } }],
    }),
    jsonBytes({
      os: "a",
      architecture: "b",
      rootfs: { diff_ids: [ociDigestOf("")] },
      config: { Env: ["a=b"] },
    }),
  ];
  const parsers = [parseManifest, parseIndex, parseImageConfig] as const;
  const answers = (bytes: Uint8Array): void => {
    // What is no error of ours comes out of `codeOf` as it is.
    for (const parse of parsers) expect(codeOf(() => parse(bytes))).toBeTypeOf("string");
  };

  test("every cut and every flipped bit has an answer", () => {
    for (const sample of samples) {
      expect(() => answers(sample)).not.toThrow();
      for (let length = 0; length < sample.length; length++) answers(sample.subarray(0, length));
      for (let bit = 0; bit < 8 * sample.length; bit++) {
        const bytes = Buffer.from(sample);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        answers(bytes);
      }
    }
  });

  test("every JSON has an answer, in every place", () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (json, which) => {
        expect(() => answers(Buffer.from(json))).not.toThrow();
        const sample = JSON.parse(samples[which % samples.length]!.toString());
        const places = placesOf(sample);
        const { parent, key } = places[which % places.length]!;
        parent[key] = JSON.parse(json);
        answers(jsonBytes(sample));
      }),
      { numRuns: 500 },
    );
  });

  test("names of the language's own objects are names like others", () => {
    const text =
      '{"schemaVersion":2,"__proto__":{"config":{}},"layers":[],"annotations":{"__proto__":"x"}}';
    expect(codeOf(() => parseManifest(Buffer.from(text), MEDIA_TYPE.ociManifest))).toContain(
      "config is missing",
    );
  });
});

function placesOf(value: unknown): { parent: Record<string, unknown>; key: string }[] {
  if (typeof value !== "object" || value === null) return [];
  const parent = value as Record<string, unknown>;
  return Object.keys(parent).flatMap((key) => [{ parent, key }, ...placesOf(parent[key])]);
}
