/** `composefs verify`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { loadZstd } from "../../floor/mod.ts";
import { repositoryCandidates, sealedImageOf, verifySeal } from "../../sources/mod.ts";
import type { VerifiedSeal } from "../../sources/mod.ts";
import { openOciImage } from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { openRepository } from "../arguments/repository-options.ts";
import { readTrust } from "../arguments/seal-files.ts";
import { describeRole } from "./seal.ts";

/** Verifies the seal of an image. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const reference = invocation.operands[0]!;
  const trust = readTrust(invocation);
  const repository = openRepository(invocation, io);
  try {
    const zstd = await loadZstd();
    const image = openOciImage(repository, reference, zstd);
    const sealed = sealedImageOf(repository, image, displayText(reference), zstd);
    const candidates = repositoryCandidates(repository, image.manifestDigest, zstd);
    const options = { trust, layers: invocation.has("layers") };
    const verified = await verifySeal(sealed, candidates, options);
    tell(verified, image.manifestDigest, invocation, io);
    return 0;
  } finally {
    repository.close();
  }
}

function tell(
  { seal, artifact, isSigned }: VerifiedSeal,
  manifestDigest: OciDigest,
  invocation: Invocation,
  io: Io,
): void {
  const { mode, algorithm, entries } = seal;
  if (invocation.has("json")) {
    const json = {
      ...{ mode, manifestDigest, artifact: artifact ?? null, algorithm, isSigned },
      entries: entries.map(({ role, layer = null, digest }) => ({ role, layer, digest })),
    };
    io.out.text(`${JSON.stringify(json)}\n`);
    return;
  }
  const rows: [string, string][] = [["manifest", manifestDigest]];
  if (artifact !== undefined) rows.push(["artifact", artifact]);
  rows.push(["signatures", isSigned ? "hold" : "not looked at, for nobody is trusted (--trust)"]);
  for (const { role, layer, digest } of entries) rows.push([describeRole(role, layer), digest]);
  for (const [name, value] of rows) io.out.text(`${name.padEnd(22)} ${value}\n`);
}
