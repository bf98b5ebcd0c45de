/**
 * Platforms: what an image runs on, and which variants of a processor run each other's programs.
 *
 * Source: OCI image-spec 1.1, image-index.md; Go's GOOS, GOARCH and GOARM names; the order of variants is
 * that of podman (containers/image, package platform), so that both choose the same image.
 */

import { ComposefsError } from "../errors.ts";
import { shown } from "./json.ts";
import type { JsonValue } from "./json.ts";

/** What an image runs on. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** `v8`, `v7`, …; `undefined` where the processor has none or none is told. */
  readonly variant: string | undefined;
}

/** From the newest to the oldest: each runs programs of those behind it. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  arm: ["v8", "v7", "v6", "v5"],
  arm64: ["v8"],
  amd64: ["v4", "v3", "v2", "v1"],
};

/** Other names for what has one. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  x64: "amd64",
  aarch64: "arm64",
  armhf: "arm",
  i386: "386",
  ia32: "386",
};

const PART = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/;

/** Parses `linux/arm64/v8`, or the same without a variant. Throws `invalid-reference`. */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const [os, architecture, variant] = parts;
  if (
    os === undefined ||
    architecture === undefined ||
    parts.length > 3 ||
    parts.some((part) => !PART.test(part))
  ) {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot parse platform ${shown(text)}: not OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT`,
      { hint: "write for example linux/amd64 or linux/arm64/v8" },
    );
  }
  return { os, architecture: ARCHITECTURES[architecture] ?? architecture, variant };
}

/** `linux/arm64/v8` */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/**
 * How well something built for `offered` runs on `wanted`: 0 is best, `undefined` not at all. Who asks for
 * a variant gets it, or an older one; who does not gets what is for every variant, then the newest but,
 * on amd64, only `v1`, which is what every such processor has.
 */
export function rankPlatform(wanted: Platform, offered: Platform): number | undefined {
  if (wanted.os !== offered.os || wanted.architecture !== offered.architecture) return undefined;
  const rank = variantsFor(wanted).indexOf(offered.variant ?? "");
  return rank < 0 ? undefined : rank;
}

function variantsFor({ architecture, variant }: Platform): readonly string[] {
  const known = Object.hasOwn(VARIANTS, architecture) ? VARIANTS[architecture]! : [];
  if (variant === undefined) return ["", ...(architecture === "amd64" ? ["v1"] : known)];
  const at = known.indexOf(variant);
  return [...(at < 0 ? [variant] : known.slice(at)), ""];
}

/** Reads the platform of a descriptor or a config; an empty text is none. */
export function readPlatform(value: JsonValue): Platform {
  const variant = value.optional("variant")?.text(PLATFORM_TEXT_MAX);
  return {
    os: value.field("os").text(PLATFORM_TEXT_MAX),
    architecture: value.field("architecture").text(PLATFORM_TEXT_MAX),
    variant: variant === "" ? undefined : variant,
  };
}

const PLATFORM_TEXT_MAX = 128;
