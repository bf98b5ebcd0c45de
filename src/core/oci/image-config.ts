/**
 * The config of an image: what its layers are without compression, what it runs on, and how it is run.
 *
 * Source: OCI image-spec 1.1, config.md; Docker's config is the same document.
 */

import { readOciDigest } from "./descriptor.ts";
import { parseJsonDocument } from "./json.ts";
import type { JsonValue } from "./json.ts";
import type { OciDigest } from "./oci-digest.ts";
import { readPlatform } from "./platform.ts";
import type { Platform } from "./platform.ts";

/** The config of an image. */
export interface ImageConfig {
  readonly platform: Platform;
  /** RFC 3339, as it stands. */
  readonly created: string | undefined;
  /** Of each layer without compression, the lowest first. */
  readonly diffIds: readonly OciDigest[];
  readonly run: RunConfig;
}

/** How the image is run, unless told otherwise. */
export interface RunConfig {
  /** `user`, `uid`, `user:group`, `uid:gid`; empty for root. */
  readonly user: string;
  /** `NAME=value` */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Empty for `/`. */
  readonly workingDir: string;
  readonly stopSignal: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

const DIFF_IDS_MAX = 1024;
const WORDS_MAX = 10_000;
const LABELS_MAX = 10_000;

/** Parses a config. Throws `invalid-manifest`. */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const root = parseJsonDocument("OCI image config", bytes);
  const rootfs = root.field("rootfs");
  const type = rootfs.optional("type");
  if (type !== undefined && type.text() !== "layers") throw type.invalid('is not "layers"');
  return {
    platform: readPlatform(root),
    created: root.optional("created")?.text(),
    diffIds: rootfs.list("diff_ids", DIFF_IDS_MAX).map(readOciDigest),
    run: readRunConfig(root.optional("config")),
  };
}

function readRunConfig(config: JsonValue | undefined): RunConfig {
  const words = (name: string): string[] =>
    config?.list(name, WORDS_MAX).map((word) => word.text()) ?? [];
  const text = (name: string): string => config?.optional(name)?.text() ?? "";
  const stopSignal = text("StopSignal");
  return {
    user: text("User"),
    env: words("Env"),
    entrypoint: words("Entrypoint"),
    cmd: words("Cmd"),
    workingDir: text("WorkingDir"),
    stopSignal: stopSignal === "" ? undefined : stopSignal,
    labels: config?.texts("Labels", LABELS_MAX) ?? (Object.create(null) as Record<string, string>),
  };
}
