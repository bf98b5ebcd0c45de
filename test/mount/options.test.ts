import { describe, expect, test } from "vitest";
import { byteString, byteStringFrom } from "#src/core/mod.ts";
import { parseMountOptions } from "#src/mount/mod.ts";
import type { MountOptionsError } from "#src/mount/mod.ts";
import { DIGEST_OF_NOTHING } from "./sample.ts";

const parse = (text: string) => parseMountOptions(byteString(text));

function reasonFor(text: string): string {
  try {
    parse(text);
  } catch (error) {
    expect(error).toMatchObject({ code: "invalid-mount-options" });
    return (error as MountOptionsError).reason;
  }
  return "accepted";
}

describe("parseMountOptions", () => {
  test("one basedir is enough, and all else has a default", () => {
    expect(parse("basedir=/objects")).toEqual({
      basedirs: ["/objects"],
      digest: undefined,
      verity: "off",
      upperdir: undefined,
      workdir: undefined,
      readOnly: false,
      idmap: undefined,
    });
  });

  test("takes every option of the C tool", () => {
    const text = `basedir=/a:/b,digest=${DIGEST_OF_NOTHING.toUpperCase()},upperdir=/u,workdir=/w,idmap=/proc/1/ns/user,ro`;
    expect(parse(text)).toEqual({
      basedirs: ["/a", "/b"],
      digest: DIGEST_OF_NOTHING,
      verity: "require",
      upperdir: "/u",
      workdir: "/w",
      readOnly: true,
      idmap: "/proc/1/ns/user",
    });
  });

  test.each([
    ["a\\,b", "a,b"],
    ["a\\\\b", "a\\b"],
    ["a\\b", "ab"],
    ["a\\=b=c", "a=b=c"],
    ["a\\", "a"],
    ["a\\\\\\,b", "a\\,b"],
  ])("a backslash keeps the byte behind it and goes: %s", (written, meant) => {
    expect(parse(`upperdir=/u,workdir=/w,basedir=${written}`).basedirs).toEqual([meant]);
  });

  test("a backslash before a comma hides the comma, before another option it does not", () => {
    expect(parse("basedir=a\\\\,ro")).toMatchObject({ basedirs: ["a\\"], readOnly: true });
  });

  test("an escaped colon still divides basedirs, as in C", () => {
    expect(parse("basedir=a\\:b").basedirs).toEqual(["a", "b"]);
  });

  test("keeps bytes that are not UTF-8", () => {
    const text = byteStringFrom(Buffer.from("basedir=/\xff\xc3,ro", "latin1"));
    expect(parseMountOptions(text).basedirs).toEqual(["/\xff\xc3"]);
  });

  test("of an option given twice the later counts", () => {
    expect(parse("basedir=/a,basedir=/b").basedirs).toEqual(["/b"]);
    expect(parse("basedir=/a,ro,rw").readOnly).toBe(false);
    expect(parse("rw,basedir=/a,ro").readOnly).toBe(true);
  });

  test.each([
    ["verity", "require"],
    ["tryverity", "try"],
    ["noverity", "off"],
    ["verity,tryverity", "require"],
    ["tryverity,verity", "require"],
    ["verity,noverity", "off"],
    ["noverity,verity", "require"],
    ["noverity,tryverity", "try"],
    [`digest=${DIGEST_OF_NOTHING}`, "require"],
    [`tryverity,digest=${DIGEST_OF_NOTHING}`, "require"],
    [`noverity,verity,digest=${DIGEST_OF_NOTHING}`, "require"],
  ])("%s means verity: %s", (options, verity) => {
    expect(parse(`basedir=/a,${options}`).verity).toBe(verity);
  });

  test("a flag with a value is the flag, as in C", () => {
    expect(parse("basedir=/a,ro=no").readOnly).toBe(true);
  });

  test.each([
    ["ro", "No object dirs specified"],
    ["basedir", "No value specified for basedir option"],
    ["basedir=/a,digest", "No value specified for digest option"],
    ["basedir=/a,upperdir", "No value specified for upperdir option"],
    ["basedir=/a,workdir", "No value specified for workdir option"],
    ["basedir=/a,idmap", "No value specified for idmap option"],
    ["basedir=/a,nosuid", "Unsupported option nosuid"],
    ["basedir=/a,nosuid=1", "Unsupported option nosuid"],
    ["Basedir=/a", "Unsupported option Basedir"],
    ["basedir=/a,", "Unsupported option "],
    [",basedir=/a", "Unsupported option "],
    ["", "Unsupported option "],
    ["basedir=", "Value for basedir option has incorrect format"],
    ["basedir=:", "Value for basedir option has incorrect format"],
    ["basedir=/a:", "Value for basedir option has incorrect format"],
    ["basedir=:/a", "Value for basedir option has incorrect format"],
    ["basedir=/a::/b", "Value for basedir option has incorrect format"],
    ["basedir=/a,upperdir=/u", "Both workdir and upperdir must be specified if used"],
    ["basedir=/a,workdir=/w", "Both workdir and upperdir must be specified if used"],
    [`basedir=/a,noverity,digest=${DIGEST_OF_NOTHING}`, "Option noverity contradicts digest"],
    [
      `basedir=/a,verity,noverity,digest=${DIGEST_OF_NOTHING}`,
      "Option noverity contradicts digest",
    ],
  ])("refuses %j: %s", (text, reason) => {
    expect(reasonFor(text)).toBe(reason);
  });

  test("refuses a digest that is none, whatever its length", () => {
    for (const digest of ["", "abc", "zz".repeat(32), "ab".repeat(31), "ab".repeat(33)]) {
      expect(() => parse(`basedir=/a,digest=${digest}`)).toThrow(
        expect.objectContaining({ code: "invalid-digest" }),
      );
    }
  });

  test("shows control characters of an unknown option escaped", () => {
    expect(reasonFor("\x1b[2J")).toBe("Unsupported option \\x1b[2J");
  });
});
