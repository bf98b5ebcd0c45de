import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { ByteString, OciDigest } from "#src/core/mod.ts";
import {
  configRefName,
  configStreamName,
  erofsRefName,
  isErofsRefName,
  layerStreamName,
  manifestOfStreamName,
  manifestStreamName,
  referrerOfRef,
  referrerRef,
  tagOfRef,
  tagRef,
} from "#src/store/oci/names.ts";

const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}` as OciDigest;
const OTHER = `sha256:${"f".repeat(64)}` as OciDigest;
const bytes = (text: string): ByteString => text as ByteString;

test("streams are named as composefs-rs names them", () => {
  expect(manifestStreamName(DIGEST)).toBe(`oci-manifest-${DIGEST}`);
  expect(configStreamName(DIGEST)).toBe(`oci-config-${DIGEST}`);
  expect(layerStreamName(DIGEST)).toBe(`oci-layer-${DIGEST}`);
  expect(configRefName(DIGEST)).toBe(`config:${DIGEST}`);
});

test("manifestOfStreamName reads a name, or a path to it, and nothing else", () => {
  expect(manifestOfStreamName(bytes(`../../oci-manifest-${DIGEST}`))).toBe(DIGEST);
  expect(manifestOfStreamName(bytes(`oci-config-${DIGEST}`))).toBeUndefined();
  expect(manifestOfStreamName(bytes("oci-manifest-sha256:abc"))).toBeUndefined();
});

test.each([
  ["docker.io/library/debian:trixie", "oci/docker.io%2Flibrary%2Fdebian:trixie"],
  ["50%", "oci/50%25"],
  ["%2F", "oci/%252F"],
  ["a@sha256:b", "oci/a@sha256:b"],
])("tag %j is the reference %j", (tag, ref) => {
  expect(tagRef(bytes(tag))).toBe(ref);
  expect(tagOfRef(bytes(ref))).toBe(tag);
});

test("every tag comes back from its reference", () => {
  const name = fc
    .array(fc.constantFrom("%", "/", "2", "5", "F", "a", "\xff"), { minLength: 1, maxLength: 20 })
    .map((parts) => bytes(parts.join("")));
  fc.assert(
    fc.property(name, (tag) => {
      expect(tagOfRef(tagRef(tag))).toBe(tag);
    }),
  );
});

test.each(["", ".", "..", "@sha256:abc", "a\0b", "x".repeat(256), "/".repeat(86)])(
  "%j cannot be a tag",
  (tag) => {
    expect(() => tagRef(bytes(tag))).toThrow(
      expect.objectContaining({ code: "invalid-reference" }),
    );
  },
);

test("referrers are found by the manifest that they are about", () => {
  const ref = referrerRef(DIGEST, OTHER);
  expect(ref).toBe(`oci-referrers/${DIGEST}/${OTHER}`);
  expect(referrerOfRef(ref)).toEqual({ subject: DIGEST, artifact: OTHER });
  expect(referrerOfRef(bytes(`${ref}/more`))).toBeUndefined();
  expect(referrerOfRef(bytes(`oci/${OTHER}`))).toBeUndefined();
});

test("EROFS images have the names of composefs-rs; V0 and V1 share theirs", () => {
  const name = (version: 0 | 1 | 2, bootable: boolean, keepUserXattrs = false): string =>
    erofsRefName({ version, bootable, keepUserXattrs });
  expect(name(2, false)).toBe("composefs.image");
  expect(name(1, false)).toBe("composefs.image.v1");
  expect(name(0, false)).toBe("composefs.image.v1");
  expect(name(2, true)).toBe("composefs.image.boot");
  expect(name(1, true)).toBe("composefs.image.boot.v1");
  expect(name(1, true, true)).toBe("composefs.image.boot.v1.xattrs=keep-user-xattrs");
  expect(isErofsRefName(bytes("composefs.image.boot"))).toBe(true);
  expect(isErofsRefName(bytes("composefs.imagery"))).toBe(false);
  expect(isErofsRefName(DIGEST as string as ByteString)).toBe(false);
});
