/** Pulling from a real registry what skopeo pushed to it. */

import { beforeAll, expect, test } from "vitest";
import { openRegistrySource, parseManifest } from "#src/mod.ts";
import type { Descriptor } from "#src/mod.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import type { RunningRegistry } from "../../support/docker-registry.ts";
import { LayoutWriter, pattern } from "../../support/images.ts";
import { needs } from "../../support/needs.ts";
import { skopeoCopy, skopeoRaw } from "../../support/skopeo.ts";
import { tempDir } from "../../support/temp.ts";

const registries = needs("docker-registry", "skopeo", "htpasswd");

registries.describe("openRegistrySource", () => {
  const user = { name: "someone", password: "a secret: with a colon" };
  let open: RunningRegistry;
  let closed: RunningRegistry;
  let layout: LayoutWriter;
  let manifest: Descriptor;

  beforeAll(async () => {
    open = await startRegistry();
    closed = await startRegistry({ user });
    const directory = tempDir();
    layout = new LayoutWriter(directory);
    manifest = layout.image([pattern(3_000_000), pattern(100, 2)]);
    layout.tag(manifest, "one");
    const from = `oci:${directory}:one`;
    skopeoCopy(from, `docker://${open.host}/some/name:one`, "--dest-tls-verify=false");
    skopeoCopy(
      from,
      `docker://${closed.host}/some/name:one`,
      "--dest-tls-verify=false",
      `--dest-creds=${user.name}:${user.password}`,
    );
  }, 60_000);

  test("reads manifest, config and layers as they were pushed", async () => {
    const source = openRegistrySource(`${open.host}/some/name:one`, { insecure: true });
    const { descriptor, bytes } = await source.resolve();
    expect(Buffer.from(bytes)).toEqual(
      skopeoRaw(`docker://${open.host}/some/name:one`, "--tls-verify=false"),
    );
    expect(descriptor).toMatchObject({ digest: manifest.digest, size: manifest.size });
    const { config, layers } = parseManifest(bytes, descriptor.mediaType);
    expect(Buffer.from(await source.readManifest(config))).toEqual(layout.read(config));
    for (const layer of layers) {
      expect((await collect(source.openBlob(layer))).equals(layout.read(layer))).toBe(true);
    }
    await source.close();
  });

  test("reads by digest, and knows what a tag names without reading it", async () => {
    const byDigest = `${open.host}/some/name@${manifest.digest}`;
    const source = openRegistrySource(byDigest, { insecure: true });
    expect((await source.resolve()).descriptor.digest).toBe(manifest.digest);
    expect(await source.peek()).toMatchObject({ digest: manifest.digest, size: manifest.size });
    await source.close();
  });

  test("shows a password to a registry that asks for one", async () => {
    const name = `${closed.host}/some/name:one`;
    const credentials = { username: user.name, password: user.password };
    const source = openRegistrySource(name, { insecure: true, credentials });
    const { bytes } = await source.resolve();
    const [layer] = parseManifest(bytes).layers;
    expect((await collect(source.openBlob(layer!))).equals(layout.read(layer!))).toBe(true);
    await source.close();
  });

  test("says that a registry wants other credentials, and never which it was shown", async () => {
    const name = `${closed.host}/some/name:one`;
    const none = openRegistrySource(name, { insecure: true });
    await expect(none.resolve()).rejects.toMatchObject({ code: "registry-denied" });
    const credentials = { username: user.name, password: "not the secret" };
    const wrong = openRegistrySource(name, { insecure: true, credentials });
    const error = await wrong.resolve().catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ code: "registry-denied" });
    expect(String((error as Error).stack)).not.toContain("not the secret");
    await Promise.all([none.close(), wrong.close()]);
  });

  test("says what is not there", async () => {
    const tag = openRegistrySource(`${open.host}/some/name:two`, { insecure: true });
    await expect(tag.resolve()).rejects.toMatchObject({ code: "registry-not-found" });
    const name = openRegistrySource(`${open.host}/another:one`, { insecure: true });
    await expect(name.resolve()).rejects.toMatchObject({ code: "registry-not-found" });
    await Promise.all([tag.close(), name.close()]);
  });

  test("does not talk to a registry without TLS unless told", async () => {
    const source = openRegistrySource(`${open.host}/some/name:one`);
    await expect(source.resolve()).rejects.toMatchObject({ code: "network-failed" });
    await source.close();
  });
});

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}
