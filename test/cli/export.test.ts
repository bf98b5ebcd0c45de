/** `composefs export`, as users run it. */

import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { writeOciLayout } from "../support/layers.ts";
import { startRegistry } from "../support/docker-registry.ts";
import { needs } from "../support/needs.ts";
import { ociDigestOf } from "../support/oci-documents.ts";
import { skopeoRaw } from "../support/skopeo.ts";
import type { Finished } from "../support/run.ts";
import { archive, header, member } from "../support/tar-bytes.ts";
import { tempDir } from "../support/temp.ts";
import { runProgram } from "./programs.ts";

const root = tempDir();
const repository = join(root, "repository");

const registry = needs("docker-registry", "skopeo");

function composefs(...args: string[]): Finished {
  return runProgram("composefs", args, { env: { COMPOSEFS_REPO: repository }, cwd: root });
}

describe("composefs export", () => {
  beforeAll(() => {
    mkdirSync(join(root, "layout"));
    const directory = header({ name: "usr/", typeflag: "5", mode: 0o755 });
    writeOciLayout(join(root, "layout"), [
      archive(directory, member({ name: "usr/a" }, "a".repeat(50_000))),
    ]);
    composefs("repo", "init", "--verity=missing-allowed");
    expect(composefs("pull", "-q", "oci:layout", "image")).toMatchObject({ status: 0, stderr: "" });
  });

  test("tells which digests are new", () => {
    const { status, stdout, stderr } = composefs(
      "export",
      "--compression=gzip",
      "image",
      "oci:out:v1",
    );
    expect([status, stderr]).toEqual([0, ""]);
    const lines = stdout.toString().split("\n");
    expect(lines[0]).toBe("target   oci:out:v1");
    expect(lines[1]).toMatch(/^manifest sha256:[0-9a-f]{64}, new: it was$/);
    expect(lines[2]).toMatch(/^ {9}sha256:[0-9a-f]{64}$/);
    expect(lines[3]).toMatch(/^layers {3}1 of .*, 1 with another digest, 0 were there$/);
    const index = JSON.parse(readFileSync(join(root, "out/index.json"), "utf8"));
    expect(index.manifests[0].annotations).toEqual({ "org.opencontainers.image.ref.name": "v1" });
  });

  test("gives back as JSON what was pulled without compression", () => {
    const { stdout, stderr } = composefs("export", "--json", "image", "oci-archive:out.tar");
    expect(stderr).toBe("");
    const report = JSON.parse(stdout.toString());
    expect(report.manifestDigest).toBe(report.originalManifestDigest);
    expect(report).toMatchObject({
      target: "oci-archive:out.tar",
      layers: [{ wasThere: false, size: 52_224 }],
    });
    const again = composefs("pull", "--progress=none", "oci-archive:out.tar", "again");
    expect(again).toMatchObject({ status: 0, stderr: "" });
    expect(again.stdout.toString()).toContain("all of it is here already");
  });

  test("writes nothing where the image is not there, or the command makes no sense", () => {
    for (const [args, status] of [
      [["absent", "oci:nowhere"], 1],
      [["image", "docker-archive:nowhere"], 1],
      [["--level=3", "image", "oci:nowhere"], 2],
      [["--compression=gzip", "--level=10", "image", "oci:nowhere"], 2],
      [["--compression=xz", "image", "oci:nowhere"], 2],
      [["image"], 2],
      [["--compression=zstd:chunked", "--level=3", "image", "oci:nowhere"], 2],
    ] as const) {
      expect(composefs("export", ...args).status, args.join(" ")).toBe(status);
    }
    expect(readdirSync(root)).not.toContain("nowhere");
  });

  registry.test("push: sends to a registry what it lacks, the tag last", async () => {
    const { host } = await startRegistry();
    const name = `${host}/some/image:v1`;
    const pushed = composefs("push", "--json", "--tls-verify=false", "--chunked", "image", name);
    expect(pushed.stderr).toBe("");
    const report = JSON.parse(pushed.stdout.toString());
    expect(report).toMatchObject({ target: `docker://${name}`, layers: [{ wasThere: false }] });
    expect(report.manifestDigest).toBe(
      ociDigestOf(skopeoRaw(`docker://${name}`, "--tls-verify=false")),
    );
    const again = composefs(
      "push",
      "--tls-verify=false",
      "--compression=zstd:chunked",
      "image",
      name,
    );
    expect(again.stdout.toString()).toContain("1 with another digest, 1 were there");
    const pulled = composefs("pull", "-q", "--tls-verify=false", name);
    expect(pulled).toMatchObject({ status: 0, stderr: "" });
    // Under the tag that it has now.
    const back = composefs("push", "-q", "--tls-verify=false", name);
    expect(back).toMatchObject({ status: 0, stderr: "" });
  });

  test("push: refuses what is no registry", () => {
    for (const args of [
      ["image", "oci:nowhere"],
      ["--chunked", "--compression=gzip", "image", "x"],
    ]) {
      expect(composefs("push", ...args).status, args.join(" ")).toBe(2);
    }
  });
});
