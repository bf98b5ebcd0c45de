/** Credentials: which file and which entry count, helpers, and that no error shows a secret. */

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { findCredentials } from "#src/sources/registry/auth/find-credentials.ts";
import type { FindCredentialsOptions } from "#src/sources/registry/auth/find-credentials.ts";
import { tempDir } from "../../support/temp.ts";

const SECRET = "s3cret:with a colon";
const auth = (user: string, password = SECRET): { auth: string } => ({
  auth: Buffer.from(`${user}:${password}`).toString("base64"),
});

/** Writes files below a directory of their own; what is no text becomes JSON. */
function files(contents: Readonly<Record<string, unknown>>): string {
  const root = tempDir();
  for (const [name, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(
      join(root, name),
      typeof content === "string" ? content : JSON.stringify(content),
      { mode: 0o755 },
    );
  }
  return root;
}

/** User and secret, as the header has them; nothing where there are none. */
async function find(
  name: string,
  environment: Readonly<Record<string, string>>,
  options: Partial<FindCredentialsOptions> = {},
): Promise<string | undefined> {
  const found = await findCredentials(
    name,
    { environment, uid: 4_000_000 },
    { helpers: ["containers-auth.json"], helperLimit: 10_000, ...options },
  );
  const token = found?.revealIdentityToken();
  if (token !== undefined) return `token ${token}`;
  return found && Buffer.from(found.revealBasic().slice("Basic ".length), "base64").toString();
}

test("the entry for the longest part of the name counts", async () => {
  const root = files({
    "auth.json": {
      auths: {
        "a.test/foo/bar/image": auth("image"),
        "a.test/foo": auth("foo"),
        "a.test": auth("host"),
        "a.test:5000": auth("port"),
      },
    },
  });
  const at = { REGISTRY_AUTH_FILE: join(root, "auth.json") };
  expect(await find("a.test/foo/bar/image", at)).toBe(`image:${SECRET}`);
  expect(await find("a.test/foo/bar/other", at)).toBe(`foo:${SECRET}`);
  expect(await find("a.test/foobar", at)).toBe(`host:${SECRET}`);
  expect(await find("a.test:5000/foo", at)).toBe(`port:${SECRET}`);
  expect(await find("b.test/foo", at)).toBeUndefined();
});

test("files are looked into in podman's order", async () => {
  const root = files({
    "run/containers/auth.json": { auths: { "one.test": auth("run") } },
    "home/.config/containers/auth.json": {
      auths: { "one.test": auth("config"), "two.test": auth("config") },
    },
    "xdg/containers/auth.json": { auths: { "two.test": auth("xdg") } },
    "home/.docker/config.json": {
      auths: { "two.test": auth("docker"), "three.test": auth("docker") },
    },
    "docker/config.json": { auths: { "three.test": auth("docker config") } },
    "home/.dockercfg": { "https://four.test/v1/": auth("old") },
    "told.json": { auths: { "one.test": auth("told") } },
  });
  const HOME = join(root, "home");
  const XDG_RUNTIME_DIR = join(root, "run");
  expect(await find("one.test/x", { HOME, XDG_RUNTIME_DIR })).toMatch(/^run:/);
  expect(await find("one.test/x", { HOME })).toMatch(/^config:/);
  expect(await find("two.test/x", { HOME, XDG_RUNTIME_DIR })).toMatch(/^config:/);
  expect(await find("two.test/x", { HOME, XDG_CONFIG_HOME: join(root, "xdg") })).toMatch(/^xdg:/);
  expect(await find("three.test/x", { HOME })).toMatch(/^docker:/);
  const DOCKER_CONFIG = join(root, "docker");
  expect(await find("three.test/x", { HOME, DOCKER_CONFIG })).toMatch(/^docker config:/);
  expect(await find("four.test/x", { HOME })).toMatch(/^old:/);
  expect(await find("five.test/x", { HOME })).toBeUndefined();
  expect(await find("one.test/x", {})).toBeUndefined();
  const REGISTRY_AUTH_FILE = join(root, "told.json");
  expect(await find("one.test/x", { HOME, REGISTRY_AUTH_FILE })).toMatch(/^told:/);
  expect(await find("two.test/x", { HOME, REGISTRY_AUTH_FILE })).toBeUndefined();
  expect(await find("one.test/x", { HOME }, { authFile: REGISTRY_AUTH_FILE })).toMatch(/^told:/);
});

test("Docker's registry has several names, and entries may be addresses", async () => {
  for (const key of [
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "https://index.docker.io/v1/",
  ]) {
    const root = files({ "a.json": { auths: { [key]: auth("hub") } } });
    const at = { REGISTRY_AUTH_FILE: join(root, "a.json") };
    expect(await find("docker.io/library/debian", at)).toBe(`hub:${SECRET}`);
    expect(await find("quay.io/library/debian", at)).toBeUndefined();
  }
});

test("identity tokens, and entries that hold nothing", async () => {
  const root = files({
    "a.json": {
      auths: {
        "token.test": { identitytoken: "the token" },
        "both.test": { ...auth("<token>", ""), identitytoken: "the token" },
        "empty.test": {},
        "padded.test": auth("user", "password\0\0"),
      },
    },
  });
  const at = { REGISTRY_AUTH_FILE: join(root, "a.json") };
  expect(await find("token.test/x", at)).toBe("token the token");
  expect(await find("both.test/x", at)).toBe("token the token");
  expect(await find("empty.test/x", at)).toBeUndefined();
  expect(await find("padded.test/x", at)).toBe("user:password");
});

const HELPER = `#!/bin/sh
read server
case "$1 $server" in
  "get known.test") echo '{"ServerURL":"known.test","Username":"helped","Secret":"${SECRET}"}' ;;
  "get token.test") echo '{"Username":"<token>","Secret":"the token"}' ;;
  "get https://index.docker.io/v1/") echo '{"Username":"hub","Secret":"x"}' ;;
  "get failing.test") echo "${SECRET}"; echo "${SECRET}" >&2; exit 3 ;;
  "get nonsense.test") echo "${SECRET}" ;;
  "get strange.test") echo '{"Secret":"${SECRET}"}' ;;
  "get slow.test") sleep 60 & wait ;;
  "get endless.test") while :; do echo "${SECRET}"; done ;;
  *) echo "credentials not found in native keychain"; exit 1 ;;
esac
`;

function withHelper(config: object): { PATH: string; REGISTRY_AUTH_FILE: string } {
  const root = files({ "bin/docker-credential-test": HELPER, "a.json": config });
  chmodSync(join(root, "bin/docker-credential-test"), 0o755);
  return {
    PATH: `${join(root, "bin")}:${process.env["PATH"]}`,
    REGISTRY_AUTH_FILE: join(root, "a.json"),
  };
}

test("helpers: of a registry, of all, and of registries.conf", async () => {
  const one = withHelper({
    credHelpers: { "known.test": "test", "token.test": "test", "other.test": "test" },
    auths: { "known.test": auth("file"), "other.test": auth("file") },
  });
  expect(await find("known.test/x", one)).toBe(`helped:${SECRET}`);
  expect(await find("token.test/x", one)).toBe("token the token");
  expect(await find("other.test/x", one)).toBeUndefined();
  const all = withHelper({
    credsStore: "test",
    auths: { "known.test": {}, "file.test": auth("f") },
  });
  expect(await find("known.test/x", all)).toBe(`helped:${SECRET}`);
  expect(await find("file.test/x", all)).toBe(`f:${SECRET}`);
  expect(await find("docker.io/library/x", all)).toBe("hub:x");
  expect(await find("other.test/x", all)).toBeUndefined();
  const none = withHelper({ auths: { "file.test": auth("f") } });
  const helpers = ["test", "containers-auth.json"];
  expect(await find("known.test/x", none, { helpers })).toBe(`helped:${SECRET}`);
  expect(await find("file.test/x", none, { helpers })).toBe(`f:${SECRET}`);
});

const FAILURES: readonly (readonly [string, RegExp])[] = [
  ["failing.test", /ended with status 3/],
  ["nonsense.test", /did not write JSON/],
  ["strange.test", /no user and secret/],
  ["slow.test", /did not end within/],
  ["endless.test", /too much|did not end/],
];
for (const [server, reason] of FAILURES) {
  test(`helpers: ${server} is an error without a secret`, async () => {
    const at = withHelper({ credHelpers: { [server]: "test" } });
    const error: unknown = await find(`${server}/x`, at, { helperLimit: 2000 }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({
      code: "invalid-config",
      message: expect.stringMatching(reason),
    });
    expect(inspect(error, { depth: 9 })).not.toContain("s3cret");
  });
}

test("helpers: one that is not there, and a name that is no name", async () => {
  for (const [helper, reason] of [
    ["absent", /no such program/],
    ["../../bin/sh", /no name of a program/],
    ["a b", /no name of a program/],
  ] as const) {
    const at = withHelper({ credHelpers: { "a.test": helper } });
    await expect(find("a.test/x", at)).rejects.toMatchObject({
      code: "invalid-config",
      message: expect.stringMatching(reason),
    });
  }
});

test("helpers: are ended by a signal, with its reason", async () => {
  const at = withHelper({ credHelpers: { "slow.test": "test" } });
  const controller = new AbortController();
  const reason = new Error("enough");
  setTimeout(() => controller.abort(reason), 50);
  const finding = find("slow.test/x", at, { signal: controller.signal });
  await expect(finding).rejects.toBe(reason);
});

test("files that cannot be read are named, and nothing of them is shown", async () => {
  const bad: readonly (readonly [unknown, RegExp])[] = [
    [`{"auths": {"a.test": {"auth": "${SECRET}`, /it is not JSON/],
    [{ auths: { "a.test": { auth: Buffer.from("s3cret").toString("base64") } } }, /no colon/],
  ];
  for (const [content, reason] of bad) {
    const root = files({ "bad.json": content });
    const error: unknown = await find("a.test/x", {
      REGISTRY_AUTH_FILE: join(root, "bad.json"),
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "invalid-config",
      message: expect.stringMatching(reason),
    });
    expect(inspect(error, { depth: 9 })).not.toMatch(/s3cret|czNjcmV0/);
  }
  await expect(find("a.test/x", { REGISTRY_AUTH_FILE: "/does/not/exist" })).rejects.toMatchObject({
    code: "invalid-config",
    message: expect.stringMatching("/does/not/exist"),
  });
  for (const content of ["[]", "null", '"x"', "7", '{"auths":[]}', '{"auths":{"a.test":7}}']) {
    const root = files({ "odd.json": content });
    const at = { REGISTRY_AUTH_FILE: join(root, "odd.json") };
    expect(await find("a.test/x", at)).toBeUndefined();
  }
});

test("credentials show themselves to nobody who does not ask for them", async () => {
  const root = files({ "a.json": { auths: { "a.test": auth("user") } } });
  const found = await findCredentials(
    "a.test/x",
    { environment: { REGISTRY_AUTH_FILE: join(root, "a.json") }, uid: 0 },
    { helpers: ["containers-auth.json"], helperLimit: 1000 },
  );
  for (const shown of [
    inspect(found, { showHidden: true }),
    String(found),
    JSON.stringify(found),
  ]) {
    expect(shown).not.toMatch(/s3cret/);
    expect(shown).toContain("a.json");
  }
});
