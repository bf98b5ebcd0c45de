/** `core` in a JavaScript realm that has ECMAScript and nothing else: no Node, no web, no console. */

import { hash } from "node:crypto";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import { computeFsVerityDigest } from "#src/core/mod.ts";
import type { BlockHash } from "#src/core/mod.ts";
import { CHECKOUT } from "../support/shared.ts";

const DUMP = `/ 4096 40755 3 0 0 0 0.0 - - -
/dir 43 40755 2 0 0 0 1.5 - - - user.name=value
/dir/file 5 100644 1 1000 1000 0 7.0 - hello -
/link 8 120777 1 0 0 0 0.0 dir/file - -
`;

/** Runs inside the realm: `core` is the bundle, `dump` a byte array, `blockHash` made outside. */
const PROGRAM = `
  const tree = core.validateTree(core.parseDump(dump));
  const image = core.writeImage(tree, { version: 0 });
  const copy = core.readTree(core.openImage(core.memorySource(image)));
  const text = [...core.formatDump(copy)].join("");
  const digest = core.computeFsVerityDigest(image, blockHash);
  ({ image, text, digest });
`;

const sha256: BlockHash = {
  algorithm: "sha256",
  hashBlocks(blocks, blockSize, out) {
    for (let at = 0, to = 0; at < blocks.length; at += blockSize) {
      const digest = hash("sha256", blocks.subarray(at, at + blockSize), "buffer");
      out.set(digest, to);
      to += digest.length;
    }
  },
};

describe("core in a bare realm", () => {
  let result: { image: Uint8Array; text: string; digest: string };
  const realm = createContext({});

  beforeAll(async () => {
    const bundle = await build({
      entryPoints: [join(CHECKOUT, "src/core/mod.ts")],
      bundle: true,
      write: false,
      format: "iife",
      globalName: "core",
      platform: "neutral",
      target: "es2022",
    });
    // V8 itself puts a console into every realm.
    runInContext("delete globalThis.console", realm);
    runInContext(bundle.outputFiles[0]?.text ?? "", realm);
    const bytes = JSON.stringify([...Buffer.from(DUMP)]);
    runInContext(`globalThis.dump = Uint8Array.from(${bytes})`, realm);
    Object.assign(realm, { blockHash: sha256 });
    result = runInContext(PROGRAM, realm);
  });

  test("has no global of Node or of the web", () => {
    const names = "process Buffer require console setTimeout TextEncoder URL fetch crypto".split(
      " ",
    );
    const present = names.filter((name) => runInContext(`typeof ${name}`, realm) !== "undefined");
    expect(present).toEqual([]);
  });

  test("writes an image and reads the same tree back from it", () => {
    expect(result.text).toBe(DUMP);
  });

  test("computes the digest that it computes here", () => {
    expect(result.digest).toBe(computeFsVerityDigest(result.image, sha256));
    expect(result.digest).toMatch(/^[0-9a-f]{64}$/);
  });
});
