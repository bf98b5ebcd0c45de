/** `composefs seal`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { loadZstd } from "../../floor/mod.ts";
import { Signer, sealImage } from "../../sources/mod.ts";
import type { SealedResult, SealOptions } from "../../sources/mod.ts";
import { openOciImage } from "../../store/mod.ts";
import type { OciImage } from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { openRepository } from "../arguments/repository-options.ts";
import { readNamedFile } from "../arguments/seal-files.ts";

/** Seals an image. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const reference = invocation.operands[0]!;
  const mode = modeOf(invocation);
  const signer = signerOf(invocation);
  const repository = openRepository(invocation, io, { writable: true });
  try {
    const zstd = await loadZstd();
    const image = openOciImage(repository, reference, zstd);
    const options: SealOptions = {
      ...{ name: displayText(reference), mode, signer },
      bootable: invocation.has("bootable") || wasMadeBootable(image),
      layers: invocation.has("layers"),
      tag: tagOf(invocation, reference, mode),
    };
    const result = await sealImage(repository, image, options, zstd);
    tell(result, options, repository.algorithm, invocation, io);
    return 0;
  } finally {
    repository.close();
  }
}

function modeOf(invocation: Invocation): SealOptions["mode"] {
  if (!invocation.has("inline")) {
    if (!invocation.has("layers")) return "artifact";
    throw new ComposefsError("usage", "Cannot use --layers without --inline");
  }
  if (!invocation.has("artifact")) return "inline";
  throw new ComposefsError("usage", "Cannot use --inline and --artifact together");
}

function signerOf(invocation: Invocation): Signer | undefined {
  const key = invocation.value("key");
  const certificate = invocation.value("cert");
  if (key === undefined && certificate === undefined) return undefined;
  if (key === undefined || certificate === undefined) {
    throw new ComposefsError("usage", "Cannot sign with one of --key and --cert alone");
  }
  return new Signer(readNamedFile(key), readNamedFile(certificate));
}

/** A new manifest takes over the tag of the old one; an artifact has none unless told. */
function tagOf(
  invocation: Invocation,
  reference: ByteString,
  mode: SealOptions["mode"],
): ByteString | undefined {
  const tag = invocation.value("tag");
  if (tag !== undefined || mode === "artifact") return tag;
  if (!reference.startsWith("@")) return reference;
  throw new ComposefsError("usage", "Cannot keep the new manifest of --inline: it gets no tag", {
    hint: "name one with --tag",
  });
}

function wasMadeBootable({ erofs }: OciImage): boolean {
  return [...erofs.keys()].some((name) => name.startsWith("composefs.image.boot"));
}

function tell(
  { manifestDigest, artifact, entries }: SealedResult,
  { mode, signer, tag }: SealOptions,
  algorithm: string,
  invocation: Invocation,
  io: Io,
): void {
  if (invocation.has("json")) {
    const json = {
      ...{ mode, manifestDigest, artifact: artifact ?? null, algorithm },
      ...{ isSigned: signer !== undefined, tag: tag === undefined ? null : displayText(tag) },
      entries: entries.map(({ role, layer = null, digest }) => ({ role, layer, digest })),
    };
    io.out.text(`${JSON.stringify(json)}\n`);
    return;
  }
  const rows: [string, string][] = [["manifest", manifestDigest]];
  if (artifact !== undefined) rows.push(["artifact", artifact]);
  if (tag !== undefined) rows.push(["tag", displayText(tag)]);
  rows.push(["signed", signer === undefined ? "no" : "yes"]);
  for (const { role, layer, digest } of entries) rows.push([describeRole(role, layer), digest]);
  for (const [name, value] of rows) io.out.text(`${name.padEnd(22)} ${value}\n`);
}

/** A role of a seal, for people. */
export function describeRole(role: string, layer: number | undefined): string {
  return layer === undefined ? `${role} digest` : `layer ${layer} digest`;
}
