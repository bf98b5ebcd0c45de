/** Images that are sealed, verified, and pulled under the demand of a seal; and every way to refuse them. */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import {
  ComposefsError,
  byteString,
  canonicalizeBootableRootfs,
  canonicalizeRootfs,
  formatOciDigest,
  formattedDigest,
  labelTree,
  parseManifest,
  sealArtifact,
} from "#src/core/mod.ts";
import type {
  ByteString,
  ErrorCode,
  FsVerityAlgorithm,
  NewSealEntry,
  OciDigest,
} from "#src/core/mod.ts";
import { loadZstd } from "#src/floor/mod.ts";
import {
  SealDemand,
  Signer,
  TrustedCertificates,
  openImageSource,
  openRegistryTarget,
  pullImage,
  repositoryCandidates,
  sealImage,
  sealedImageOf,
  verifySeal,
} from "#src/sources/mod.ts";
import type { SealCandidate, SealOptions, VerifiedSeal } from "#src/sources/mod.ts";
import {
  Repository,
  initRepository,
  listReferrers,
  listTags,
  openManifest,
  openOciImage,
} from "#src/store/mod.ts";
import type { OciImage } from "#src/store/mod.ts";
import { makeIdentity, named } from "../../support/certificates.ts";
import type { Identity } from "../../support/certificates.ts";
import { PeerImage, cfsctlMissing } from "../../support/cfsctl.ts";
import { imageDigest, mergeArchives, writeOciLayout } from "../../support/layers.ts";
import { startRegistry } from "../../support/docker-registry.ts";
import { needs, needsThat } from "../../support/needs.ts";
import { directoryEntry, fileEntry, policyArchive } from "../../support/selinux-policy.ts";
import { skopeoCopy } from "../../support/skopeo.ts";
import { archive } from "../../support/tar-bytes.ts";
import { tempDir } from "../../support/temp.ts";

const zstd = await loadZstd();
const owner = makeIdentity();
const stranger = makeIdentity();

const RULES = "/.* system_u:object_r:root_t:s0\n/usr/bin/.* system_u:object_r:bin_t:s0\n";
const LAYERS = [
  policyArchive(
    { "": RULES },
    directoryEntry("usr/bin"),
    fileEntry("usr/bin/tool", "#!".repeat(200)),
    fileEntry("boot/kernel", "not in it"),
  ),
  archive(fileEntry("usr/bin/more", "second layer")),
];

/** A layout with an image of these layers; the first name is `image`. */
function layoutOf(layers: readonly Buffer[] = LAYERS): string {
  const directory = tempDir();
  writeOciLayout(directory, layers);
  return directory;
}

function newRepository(algorithm: FsVerityAlgorithm = "sha512", version: 1 | 2 = 1): Repository {
  const path = byteString(join(tempDir(), "repository"));
  initRepository(path, {
    algorithm,
    verity: "missing-allowed",
    formats: { default: version, extra: [] },
  });
  return Repository.open(path, { writable: true });
}

const IMAGE = byteString("image");

async function pull(
  repo: Repository,
  layout: string,
  options: { demand?: SealDemand; bootable?: boolean } = {},
): Promise<void> {
  const { demand, bootable = false } = options;
  const source = await openImageSource(byteString(`oci:${layout}`));
  try {
    await pullImage(repo, source, { tag: IMAGE, bootable, check: demand?.check });
    await demand?.keep(zstd);
  } finally {
    await source.close();
  }
}

const signer = ({ key, certificate }: Identity): Signer =>
  new Signer(named(key), named(certificate));
const trustIn = (...all: readonly Identity[]): TrustedCertificates =>
  new TrustedCertificates(all.map(({ certificate }) => named(certificate)));

const seal = async (
  repo: Repository,
  options: Partial<SealOptions> = {},
): ReturnType<typeof sealImage> =>
  sealImage(
    repo,
    openOciImage(repo, IMAGE, zstd),
    {
      ...{ name: "image", mode: "artifact", signer: signer(owner) },
      ...{ bootable: true, layers: false, tag: undefined },
      ...options,
    },
    zstd,
  );

async function verify(
  repo: Repository,
  trust?: TrustedCertificates,
  reference: ByteString = IMAGE,
): Promise<VerifiedSeal> {
  const image = openOciImage(repo, reference, zstd);
  const candidates = repositoryCandidates(repo, image.manifestDigest, zstd);
  return verifySeal(sealedImageOf(repo, image, "image", zstd), candidates, { trust, layers: true });
}

async function expectRefusal(
  promise: Promise<unknown>,
  code: ErrorCode,
  message: RegExp,
): Promise<void> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ComposefsError);
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
}

const digestOf = (entries: readonly { role: string; digest: string }[], role: string): string =>
  entries.find((entry) => entry.role === role)!.digest;

describe.each([
  ["sha512", 1],
  ["sha256", 2],
] as const)("a repository of %s and V%i", (algorithm, version) => {
  const expected = (bootable: boolean): string => {
    const root = canonicalizeRootfs(mergeArchives(LAYERS, {}, algorithm));
    if (!bootable) return imageDigest(root, 1, algorithm);
    const labelled = labelTree(canonicalizeBootableRootfs(root), () => Buffer.from(RULES));
    return imageDigest(labelled, 1, algorithm);
  };

  test("an artifact seals the image, and the image stays as it is", async () => {
    const repo = newRepository(algorithm, version);
    await pull(repo, layoutOf(), { bootable: true });
    const before = openOciImage(repo, IMAGE, zstd);
    const { entries, artifact, manifestDigest } = await seal(repo, { tag: byteString("the-seal") });
    expect(manifestDigest).toBe(before.manifestDigest);
    expect(entries.map(({ role }) => role)).toEqual([
      "manifest",
      "config",
      "merged",
      "merged.bootable",
    ]);
    expect(digestOf(entries, "merged")).toBe(expected(false));
    expect(digestOf(entries, "merged.bootable")).toBe(expected(true));
    expect(listReferrers(repo, manifestDigest)).toEqual([artifact]);
    expect(listTags(repo)).toContainEqual({ name: "the-seal", manifestDigest: artifact });

    expect(await verify(repo, trustIn(owner))).toMatchObject({ artifact, isSigned: true });
    expect(await verify(repo)).toMatchObject({ artifact, isSigned: false });
    await expectRefusal(verify(repo, trustIn(stranger)), "invalid-signature", /not trusted/);
    repo.close();
  });

  test("inline, the sealed manifest takes over the tag", async () => {
    const repo = newRepository(algorithm, version);
    await pull(repo, layoutOf());
    const before = openOciImage(repo, IMAGE, zstd);
    const options = { mode: "inline", tag: IMAGE, layers: true } as const;
    const { entries, manifestDigest } = await seal(repo, options);
    expect(digestOf(entries, "merged")).toBe(expected(false));
    const after = openOciImage(repo, IMAGE, zstd);
    expect(after.manifestDigest).toBe(manifestDigest);
    expect(after.manifestDigest).not.toBe(before.manifestDigest);
    expect(after.configDigest).toBe(before.configDigest);
    expect(after.erofs).toEqual(before.erofs);
    const verified = await verify(repo, trustIn(owner));
    expect(verified.artifact).toBeUndefined();
    expect(verified.seal.entries.map(({ role }) => role)).toEqual([
      ...["config", "layer", "layer", "merged", "merged.bootable"],
    ]);
    await expectRefusal(verify(repo, trustIn(stranger)), "invalid-signature", /not trusted/);
    const old = byteString(`@${before.manifestDigest}`);
    await expectRefusal(verify(repo, trustIn(owner), old), "verity-missing", /not sealed/);
    repo.close();
  });
});

needsThat(cfsctlMissing).test("seals have the digests that composefs-rs computes", async () => {
  for (const algorithm of ["sha512", "sha256"] as const) {
    const repo = newRepository(algorithm);
    await pull(repo, layoutOf());
    const { entries } = await seal(repo);
    const peer = new PeerImage(LAYERS, 1, algorithm);
    expect(digestOf(entries, "merged")).toBe(peer.digest());
    expect(digestOf(entries, "merged.bootable")).toBe(peer.digest("--bootable"));
    repo.close();
  }
});

describe("a seal that was tampered with", () => {
  const repo = newRepository();
  const trust = trustIn(owner);
  let image: OciImage;
  let artifact: SealCandidate;

  const setUp = async (): Promise<void> => {
    if (artifact !== undefined) return;
    await pull(repo, layoutOf());
    const made = await seal(repo);
    image = openOciImage(repo, IMAGE, zstd);
    [artifact] = repositoryCandidates(repo, image.manifestDigest, zstd) as [SealCandidate];
    expect(artifact.digest).toBe(made.artifact);
  };

  /** Verifies with an artifact whose manifest, or blobs, were changed. */
  async function verifyChanged(
    change: (manifest: Json & { layers: Json[] }) => void,
    readBlob = artifact.readBlob,
    subject: OciImage = image,
  ): Promise<VerifiedSeal> {
    const manifest = JSON.parse(Buffer.from(await artifact.readManifest()).toString()) as Json & {
      layers: Json[];
    };
    change(manifest);
    const bytes = Buffer.from(JSON.stringify(manifest));
    const candidate = { ...artifact, readManifest: async () => bytes, readBlob };
    return verifySeal(sealedImageOf(repo, subject, "image", zstd), [candidate], { trust });
  }

  type Json = Record<string, unknown>;
  const nothing = (): void => {};
  const eachRole = ["manifest", "config", "merged", "merged.bootable"];

  test("holds when nothing was changed", async () => {
    await setUp();
    expect((await verifyChanged(nothing)).isSigned).toBe(true);
  });

  test.each(eachRole.map((role, i) => [role, i] as const))(
    "refuses another digest of the %s",
    async (_, i) => {
      await setUp();
      const change = ({ layers }: { layers: Json[] }): void => {
        const annotations = layers[i]!["annotations"] as Record<string, string>;
        const [key] = Object.keys(annotations) as [string];
        annotations[key] = annotations[key]!.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
      };
      // The signature is over the old one.
      await expectRefusal(verifyChanged(change), "invalid-signature", /does not belong/);
    },
  );

  test("refuses signatures that changed places", async () => {
    await setUp();
    const swap = ({ layers }: { layers: Json[] }): void => {
      [layers[0]!["digest"], layers[2]!["digest"]] = [layers[2]!["digest"], layers[0]!["digest"]];
      [layers[0]!["size"], layers[2]!["size"]] = [layers[2]!["size"], layers[0]!["size"]];
    };
    await expectRefusal(verifyChanged(swap), "invalid-signature", /does not belong/);
  });

  test("refuses signatures that are cut, empty or too large", async () => {
    await setUp();
    for (const length of [0, 1, 100]) {
      const cut: SealCandidate["readBlob"] = async (blob) =>
        (await artifact.readBlob(blob)).subarray(0, length);
      await expectRefusal(verifyChanged(nothing, cut), "invalid-signature", /ends early/);
    }
    const large = ({ layers }: { layers: Json[] }): void => void (layers[1]!["size"] = 20_000);
    await expectRefusal(verifyChanged(large), "invalid-signature", /larger than/);
  });

  test("refuses one whose signatures were taken away", async () => {
    await setUp();
    const take = ({ layers }: { layers: Json[] }): void => {
      for (const layer of layers) layer["mediaType"] = "application/vnd.oci.empty.v1+json";
    };
    await expectRefusal(verifyChanged(take), "invalid-signature", /is not signed/);
  });

  test("refuses one of another image, even by the same owner", async () => {
    await setUp();
    const other = newRepository();
    await pull(other, layoutOf([LAYERS[0]!]));
    const otherImage = openOciImage(other, IMAGE, zstd);
    const sealed = sealedImageOf(other, otherImage, "other", zstd);
    await expectRefusal(
      verifySeal(sealed, [artifact], { trust }),
      "invalid-signature",
      /about the manifest/,
    );
    // With the subject made to fit, its digests are another image's.
    const subject = otherImage.manifestDigest;
    const artifactJson = JSON.parse(Buffer.from(await artifact.readManifest()).toString()) as {
      subject: Json;
    };
    artifactJson.subject["digest"] = subject;
    const changed = {
      ...artifact,
      readManifest: async () => Buffer.from(JSON.stringify(artifactJson)),
    };
    await expectRefusal(
      verifySeal(sealed, [changed], { trust }),
      "verity-mismatch",
      /manifest has the digest/,
    );
    other.close();
  });

  test("refuses one with digests of another algorithm", async () => {
    await setUp();
    const other = newRepository("sha256");
    await pull(other, layoutOf());
    const sealed = sealedImageOf(other, openOciImage(other, IMAGE, zstd), "image", zstd);
    await expectRefusal(
      verifySeal(sealed, [artifact], { trust }),
      "verity-missing",
      /sha512, and the repository has sha256/,
    );
    other.close();
  });

  test("refuses digests that a trusted owner has signed for what the image is not", async () => {
    await setUp();
    const other = newRepository();
    await pull(other, layoutOf([...LAYERS, archive(fileEntry("usr/bin/evil", "x"))]));
    const evil = openOciImage(other, IMAGE, zstd);
    const good = await seal(repo);
    // A signed seal of the good image about the manifest of the other one, with its true digests of the documents.
    const entries: NewSealEntry[] = good.entries.map(({ role, digest }) => ({
      role,
      digest,
      signature: signer(owner).sign(formattedDigest(digest), "sha512"),
    }));
    const hash = (bytes: Uint8Array): OciDigest =>
      formatOciDigest("sha256", createHash("sha256").update(bytes).digest());
    const subject = { mediaType: evil.manifest.mediaType, digest: evil.manifestDigest, size: 1 };
    const made = sealArtifact(subject, "sha512", entries, hash);
    const candidate: SealCandidate = {
      digest: hash(made.manifest),
      readManifest: async () => made.manifest,
      readBlob: async (blob) =>
        made.blobs.find(({ descriptor }) => descriptor.digest === blob.digest)!.bytes,
    };
    const sealed = sealedImageOf(other, evil, "image", zstd);
    await expectRefusal(
      verifySeal(sealed, [candidate], { trust }),
      "verity-mismatch",
      /is sealed with/,
    );
    other.close();
  });

  test("does not stop another one that holds", async () => {
    await setUp();
    const bad = { ...artifact, readManifest: async () => Buffer.from("{}") };
    const sealed = sealedImageOf(repo, image, "image", zstd);
    const verified = await verifySeal(sealed, [bad, artifact], { trust });
    expect(verified.artifact).toBe(artifact.digest);
    await expectRefusal(
      verifySeal(sealed, [bad, bad], { trust }),
      "invalid-signature",
      /2 seals were refused/,
    );
  });
});

describe("a pull that demands a seal", () => {
  /** A layout with the image and an artifact about it, which `change` may have spoilt. */
  async function sealedLayout(
    options: Partial<SealOptions> = {},
    change: (blob: Buffer) => Buffer = (blob) => blob,
  ): Promise<string> {
    const layout = layoutOf();
    const repo = newRepository();
    await pull(repo, layout);
    const { artifact } = await seal(repo, options);
    const { manifest, manifestBytes } = openManifest(repo, artifact!, zstd);
    const [candidate] = repositoryCandidates(repo, manifest.subject!.digest, zstd);
    const put = (bytes: Uint8Array, digest: string): void =>
      writeFileSync(join(layout, "blobs/sha256", digest.slice("sha256:".length)), bytes);
    put(Buffer.from("{}"), manifest.config.digest);
    for (const blob of manifest.layers) {
      put(change(Buffer.from(await candidate!.readBlob(blob))), blob.digest);
    }
    put(manifestBytes, artifact!);
    const path = join(layout, "index.json");
    const index = JSON.parse(readFileSync(path, "utf8")) as { manifests: object[] };
    index.manifests[0] = {
      ...index.manifests[0],
      annotations: { "org.opencontainers.image.ref.name": "image" },
    };
    index.manifests.push({
      ...{ mediaType: manifest.mediaType, digest: artifact, size: manifestBytes.length },
      artifactType: manifest.artifactType,
    });
    writeFileSync(path, JSON.stringify(index));
    repo.close();
    return `${layout}:image`;
  }

  async function expectNothing(
    repo: Repository,
    layout: string,
    trusted: Identity,
    code: ErrorCode,
    message: RegExp,
  ): Promise<void> {
    const demand = new SealDemand(repo, trustIn(trusted));
    await expectRefusal(pull(repo, layout, { demand }), code, message);
    expect(listTags(repo)).toEqual([]);
    expect(repo.listRefs("streams")).toEqual([]);
    expect(repo.listImages()).toEqual([]);
  }

  test.each([1, 2] as const)("gets the image and keeps its seal (V%i)", async (version) => {
    const layout = await sealedLayout();
    const repo = newRepository("sha512", version);
    const demand = new SealDemand(repo, trustIn(owner));
    await pull(repo, layout, { demand });
    expect(demand.held).toMatchObject({ isSigned: true, seal: { mode: "artifact" } });
    expect(listTags(repo).map(({ name }) => name)).toEqual(["image"]);
    expect(await verify(repo, trustIn(owner))).toMatchObject({ artifact: demand.held!.artifact });
    // The second time the image is there already, and is looked at all the same.
    await pull(repo, layout, { demand: new SealDemand(repo, trustIn(owner)) });
    const strange = new SealDemand(repo, trustIn(stranger));
    await expectRefusal(
      pull(repo, layout, { demand: strange }),
      "invalid-signature",
      /not trusted/,
    );
    repo.close();
  });

  test("refuses an image without one, and leaves no name behind", async () => {
    await expectNothing(newRepository(), layoutOf(), owner, "verity-missing", /not sealed/);
  });

  test("refuses one that a stranger has signed", async () => {
    await expectNothing(
      newRepository(),
      await sealedLayout(),
      stranger,
      "invalid-signature",
      /not trusted/,
    );
  });

  test("refuses one that nobody has signed", async () => {
    const layout = await sealedLayout({ signer: undefined });
    await expectNothing(newRepository(), layout, owner, "invalid-signature", /not signed/);
  });

  test("refuses one of another algorithm", async () => {
    await expectNothing(
      newRepository("sha256"),
      await sealedLayout(),
      owner,
      "verity-missing",
      /sha512/,
    );
  });

  test("refuses one whose blobs were changed", async () => {
    const layout = await sealedLayout({}, (blob) => {
      if (blob.length > 10) blob[blob.length - 1]! ^= 1;
      return blob;
    });
    await expectNothing(newRepository(), layout, owner, "content-mismatch", /./);
  });
});

needs("docker-registry", "skopeo").test("a seal in a registry is found, and kept", async () => {
  const registry = await startRegistry();
  const name = `${registry.host}/team/app:v1`;
  skopeoCopy(`oci:${layoutOf()}`, `docker://${name}`, "--dest-tls-verify=false");
  const options = { registry: { insecure: true } };
  const pullFrom = async (repo: Repository, demand?: SealDemand): Promise<void> => {
    const source = await openImageSource(byteString(name), options);
    try {
      await pullImage(repo, source, { tag: IMAGE, check: demand?.check });
      await demand?.keep(zstd);
    } finally {
      await source.close();
    }
  };
  const maker = newRepository();
  await pullFrom(maker);
  const unsealed = newRepository();
  const demand = new SealDemand(unsealed, trustIn(owner));
  await expectRefusal(pullFrom(unsealed, demand), "verity-missing", /not sealed/);
  expect(unsealed.listRefs("streams")).toEqual([]);

  const { artifact, manifestDigest } = await seal(maker);
  const [candidate] = repositoryCandidates(maker, manifestDigest, zstd);
  const target = openRegistryTarget(name, { insecure: true });
  const manifestBytes = await candidate!.readManifest();
  const { config, layers, mediaType } = parseManifest(manifestBytes);
  for (const blob of [config, ...layers]) {
    const bytes = blob === config ? Buffer.from("{}") : await candidate!.readBlob(blob);
    await target.putBlob(blob, Readable.from([bytes]));
  }
  await target.putManifest(manifestBytes, mediaType);
  await target.close();

  const taker = newRepository("sha512", 2);
  const taken = new SealDemand(taker, trustIn(owner));
  await pullFrom(taker, taken);
  expect(taken.held).toMatchObject({ artifact, isSigned: true });
  expect(await verify(taker, trustIn(owner))).toMatchObject({ artifact });
  for (const repo of [maker, unsealed, taker]) repo.close();
});
