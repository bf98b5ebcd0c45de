/** What is about an image: by the registry's list, page by page, and by the tag where there is no list. */

import { createHash } from "node:crypto";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { openRegistrySource } from "#src/mod.ts";
import type { Descriptor, OciDigest } from "#src/mod.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import { startFaultyRegistry } from "../../support/faulty-registry.ts";
import type { FaultyRegistry } from "../../support/faulty-registry.ts";
import { pattern } from "../../support/images.ts";
import { needs } from "../../support/needs.ts";
import { SampleImage } from "./sample-image.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const LIST = /\/referrers\//;
const LIMITS = { attempts: 3, backoff: 5 };

function entry(name: string, artifactType: string): object {
  const digest = `sha256:${createHash("sha256").update(name).digest("hex")}`;
  return { mediaType: MANIFEST, digest, size: name.length, artifactType };
}

function page(...manifests: object[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
}

async function put(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
): Promise<void> {
  const answer = await fetch(url, { method: "PUT", body, headers });
  if (answer.status !== 201) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
}

needs("docker-registry", "skopeo").describe("referrers", () => {
  let proxy: FaultyRegistry;
  let image: Descriptor;

  beforeAll(async () => {
    const registry = await startRegistry();
    const sample = new SampleImage(1000);
    const { layout } = sample;
    image = sample.manifest;
    const about = layout.image([pattern(1000)], { subject: image, artifactType: "test/signature" });
    sample.push(registry.host);
    const { digest, size } = about;
    const signature = { mediaType: MANIFEST, digest, size, artifactType: "test/signature" };
    // By hand: skopeo leaves out the type.
    const manifests = `${registry.url}/v2/some/name/manifests`;
    const headers = { "content-type": INDEX };
    await put(`${manifests}/${digest}`, Uint8Array.from(layout.read(about)), {
      "content-type": MANIFEST,
    });
    await put(`${manifests}/${image.digest.replace(":", "-")}`, page(signature), headers);
    proxy = await startFaultyRegistry(registry.url);
  }, 60_000);

  beforeEach(() => proxy.reset());

  async function referrers(artifactType?: string, of: OciDigest = image.digest): Promise<string[]> {
    const source = openRegistrySource(`${proxy.host}/some/name:one`, {
      insecure: true,
      limits: LIMITS,
    });
    try {
      const found = await source.referrers(of, artifactType === undefined ? {} : { artifactType });
      return found.map((each) => each.artifactType ?? "");
    } finally {
      await source.close();
    }
  }

  const answer = (body: string, headers: Record<string, string> = {}): void =>
    proxy.inject({
      on: LIST,
      times: 1,
      fault: { kind: "status", status: 200, headers: { "content-type": INDEX, ...headers }, body },
    });

  test("are found by the tag where the registry has no list", async () => {
    expect(await referrers()).toEqual(["test/signature"]);
    expect(await referrers("test/signature")).toEqual(["test/signature"]);
    expect(await referrers("test/other")).toEqual([]);
  });

  test("are none where there is neither list nor tag", async () => {
    expect(await referrers(undefined, `sha256:${"0".repeat(64)}` as OciDigest)).toEqual([]);
  });

  test("are found by the tag where the list is a page for people", async () => {
    answer("<html>", { "content-type": "text/html" });
    expect(await referrers()).toEqual(["test/signature"]);
  });

  test("are read page by page, and filtered where the registry does not", async () => {
    answer(page(entry("a", "test/a"), entry("b", "test/b")), {
      link: `</v2/some/name/referrers/${image.digest}?page=2>; rel="next"`,
    });
    answer(page(entry("c", "test/a")));
    expect(await referrers("test/a")).toEqual(["test/a", "test/a"]);
    expect(proxy.seen.map(({ line }) => line.replace(/.*\?/, ""))).toEqual([
      "artifactType=test%2Fa",
      "page=2",
    ]);
  });

  test("are not looked for on another host", async () => {
    answer(page(entry("a", "test/a")), { link: `<http://127.0.0.1:1/v2/>; rel="next"` });
    await expect(referrers()).rejects.toMatchObject({ code: "registry-failed" });
  });

  test("are given up when the list does not end", async () => {
    proxy.inject({
      on: LIST,
      fault: {
        kind: "status",
        status: 200,
        headers: { "content-type": INDEX, link: `</v2/x/referrers/y>; rel=next` },
        body: page(entry("a", "test/a")),
      },
    });
    await expect(referrers()).rejects.toMatchObject({ code: "registry-failed" });
    expect(proxy.count(LIST)).toBe(100);
  });

  test("are refused where the list is nonsense", async () => {
    answer(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [{ size: -1 }] }));
    await expect(referrers()).rejects.toMatchObject({ code: "invalid-manifest" });
  });
});
