/** `cfsctl init`. */

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

import { displayText } from "../../../core/bytes/byte-string.ts";
import type { FormatVersion } from "../../../core/erofs/version.ts";
import type { FsVerityAlgorithm } from "../../../core/fsverity/digest.ts";
import { initRepository } from "../../../store/mod.ts";
import { repositoryPath } from "./settings.ts";
import type { CfsctlCall } from "./settings.ts";

/** Makes a repository. */
export function init({ settings, invocation, io }: CfsctlCall): number {
  const path = invocation.operands[0] ?? repositoryPath(settings);
  const algorithm = algorithmIn(invocation.value("algorithm") ?? "fsverity-sha512-12");
  const insecure = invocation.has("insecure") || settings.insecure;
  const version = invocation.value("erofs-version") ?? settings.erofsVersion ?? 1;
  const ensure = invocation.has("ensure");
  const parent = dirname(path);
  mkdirSync(Buffer.from(parent, "latin1"), { recursive: true });
  const { outcome } = initRepository(path, {
    algorithm,
    verity: insecure ? "missing-allowed" : "required",
    formats: { default: Number(version) as FormatVersion, extra: [] },
    ensure,
    resetMetadata: invocation.has("reset-metadata"),
  });
  const place = displayText(path);
  switch (outcome) {
    case "created":
      io.out.text(`Initialized composefs repository at ${place}\n`);
      io.out.text(`  algorithm: fsverity-${algorithm}-12\n`);
      io.out.text(`  verity:    ${insecure ? "not required (insecure)" : "required"}\n`);
      return 0;
    case "already": {
      const more = ensure ? " (existing configuration preserved)" : "";
      io.out.text(`Repository already initialized at ${place}${more}\n`);
      return 0;
    }
    case "upgraded":
      io.out.text(`Upgraded legacy repository at ${place}\n`);
      return 0;
  }
}

function algorithmIn(text: string): FsVerityAlgorithm {
  return text.includes("sha256") ? "sha256" : "sha512";
}
