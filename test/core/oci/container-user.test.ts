import { describe, expect, test } from "vitest";
import { byteString } from "#src/core/bytes/byte-string.ts";
import { ComposefsError } from "#src/core/errors.ts";
import { resolveContainerUser } from "#src/core/oci/container-user.ts";
import type { ContainerUser } from "#src/core/oci/container-user.ts";

const FILES = {
  passwd: Buffer.from(
    [
      "root:x:0:0:root:/root:/bin/sh",
      "# comment",
      "broken",
      "web:x:33:44:::/bin/false",
      "caf\xe9:x:1000:1001::/home/caf\xe9:/bin/sh",
      "huge:x:4294967295:0::/:/bin/sh",
    ].join("\n"),
    "latin1",
  ),
  group: Buffer.from("root:x:0:\ndata:x:50:web,other\nweb:x:44:\nmore:x:20:web\nmine:x:44:web\n"),
};

function resolve(user: string, files = FILES): ContainerUser {
  return resolveContainerUser(user as ReturnType<typeof byteString>, files);
}

describe("the user of a container", () => {
  test.each([
    ["", { uid: 0, gid: 0, additionalGids: [], home: "/root" }],
    ["root", { uid: 0, gid: 0, additionalGids: [], home: "/root" }],
    ["web", { uid: 33, gid: 44, additionalGids: [20, 50], home: undefined }],
    ["33", { uid: 33, gid: 44, additionalGids: [20, 50], home: undefined }],
    ["web:data", { uid: 33, gid: 50, additionalGids: [], home: undefined }],
    ["web:7", { uid: 33, gid: 7, additionalGids: [], home: undefined }],
    ["12345", { uid: 12345, gid: 0, additionalGids: [], home: undefined }],
    ["12345:54321", { uid: 12345, gid: 54321, additionalGids: [], home: undefined }],
    ["caf\xe9", { uid: 1000, gid: 1001, additionalGids: [], home: "/home/caf\xe9" }],
    ["web:", { uid: 33, gid: 44, additionalGids: [20, 50], home: undefined }],
  ])("%j", (user, expected) => {
    expect(resolve(user)).toEqual(expected);
  });

  test.each(["nobody", "web:nogroup", "4294967295", "huge", "-1", "0x10"])(
    "%j is refused",
    (user) => {
      expect(() => resolve(user)).toThrow(ComposefsError);
    },
  );

  test("without files, numbers and root still do", () => {
    const none = { passwd: undefined, group: undefined };
    expect(resolveContainerUser(byteString(""), none)).toMatchObject({ uid: 0, gid: 0 });
    expect(resolveContainerUser(byteString("5:6"), none)).toMatchObject({ uid: 5, gid: 6 });
    expect(() => resolveContainerUser(byteString("root"), none)).toThrow("/etc/passwd has none");
  });
});
