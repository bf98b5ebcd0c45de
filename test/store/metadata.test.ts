import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ComposefsError } from "#src/core/mod.ts";
import type { FormatVersion } from "#src/core/mod.ts";
import {
  formatMetadata,
  newMetadata,
  parseMetadata,
  unknownFeatures,
} from "#src/store/metadata.ts";

const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const LEAST = { version: 1, algorithm: "fsverity-sha512-12" };

describe("meta.json", () => {
  test("has the bytes that composefs-rs writes", () => {
    const bytes = formatMetadata(newMetadata("sha256", { default: 1, extra: [2, 0, 2] }));
    expect(Buffer.from(bytes).toString()).toBe(`{
  "version": 1,
  "algorithm": "fsverity-sha256-12",
  "features": {
    "compatible": [],
    "read-only-compatible": [
      "v1_erofs"
    ],
    "incompatible": []
  },
  "erofs_formats": {
    "default": 1,
    "extra": [
      0,
      2
    ]
  }
}
`);
  });

  test("comes back as it was", () => {
    const version = fc.constantFrom<FormatVersion>(0, 1, 2);
    fc.assert(
      fc.property(
        fc.constantFrom("sha256", "sha512"),
        version,
        fc.array(version),
        (algorithm, first, extra) => {
          const metadata = newMetadata(algorithm, { default: first, extra });
          expect(parseMetadata(formatMetadata(metadata))).toEqual(metadata);
        },
      ),
    );
  });

  test("may lack features and formats; unknown keys mean nothing", () => {
    expect(parseMetadata(text({ ...LEAST, other: [1] }))).toEqual({
      algorithm: "sha512",
      formats: { default: 2, extra: [] },
      features: { compatible: [], readOnlyCompatible: [], incompatible: [] },
    });
  });

  test("tells V1 by its feature where the formats are not told, or only a default of 2", () => {
    const features = { "read-only-compatible": ["v1_erofs"] };
    for (const formats of [undefined, { default: 2 }, { default: 2, extra: [] }]) {
      const { formats: read } = parseMetadata(text({ ...LEAST, features, erofs_formats: formats }));
      expect(read).toEqual({ default: 1, extra: [] });
    }
    const both = parseMetadata(
      text({ ...LEAST, features, erofs_formats: { default: 2, extra: [1] } }),
    );
    expect(both.formats).toEqual({ default: 2, extra: [1] });
  });

  test("keeps unknown features apart by what they forbid", () => {
    const features = { compatible: ["a"], "read-only-compatible": ["v1_erofs", "b"] };
    const metadata = parseMetadata(text({ ...LEAST, features }));
    expect(metadata.features.compatible).toEqual(["a"]);
    expect(unknownFeatures(metadata)).toEqual(["b"]);
    expect(() => parseMetadata(text({ ...LEAST, features: { incompatible: ["c"] } }))).toThrow(
      /it needs "c"/,
    );
  });

  test.each([
    ["", /not JSON/],
    ["{", /not JSON/],
    ["\xff", /not JSON/],
    ["[]", /not an object/],
    ["null", /not an object/],
    ["{}", /"version"/],
    [`{"version":"1"}`, /"version"/],
    [`{"version":-1}`, /"version"/],
    [`{"version":1.5}`, /"version"/],
    [`{"version":2}`, /version 2 is not known/],
    [`{"version":1}`, /"algorithm"/],
    [`{"version":1,"algorithm":"sha512"}`, /"algorithm"/],
    [`{"version":1,"algorithm":"fsverity-md5-12"}`, /"md5" is not known/],
    [`{"version":1,"algorithm":"fsverity-sha512-16"}`, /2\^16/],
    [`{"version":1,"algorithm":"fsverity-sha512-12","features":[]}`, /"features"/],
    [
      `{"version":1,"algorithm":"fsverity-sha512-12","features":{"incompatible":"x"}}`,
      /"incompatible"/,
    ],
    [`{"version":1,"algorithm":"fsverity-sha512-12","erofs_formats":{}}`, /format undefined/],
    [`{"version":1,"algorithm":"fsverity-sha512-12","erofs_formats":{"default":3}}`, /format 3/],
    [
      `{"version":1,"algorithm":"fsverity-sha512-12","erofs_formats":{"default":1,"extra":1}}`,
      /"extra"/,
    ],
  ])("refuses %j", (json, reason) => {
    const parse = (): unknown => parseMetadata(Buffer.from(json, "latin1"));
    expect(parse).toThrow(reason);
    expect(parse).toThrow(expect.objectContaining({ code: "repository-invalid" }));
  });

  test("whatever is cut or flipped is read or refused, by an error of ours", () => {
    const whole = formatMetadata(newMetadata("sha512", { default: 1, extra: [2] }));
    const tryOne = (bytes: Uint8Array): void => {
      try {
        parseMetadata(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ComposefsError);
      }
    };
    for (let at = 0; at < whole.length; at++) {
      tryOne(whole.subarray(0, at));
      for (let bit = 0; bit < 8; bit++) {
        const flipped = whole.slice();
        flipped[at]! ^= 1 << bit;
        tryOne(flipped);
      }
    }
  });
});
