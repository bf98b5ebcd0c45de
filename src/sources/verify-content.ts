/** Size and digest of a blob, checked while it streams by. */

import { createHash } from "node:crypto";
import { ComposefsError } from "../core/errors.ts";
import { formatOciDigest, ociDigestAlgorithm } from "../core/oci/oci-digest.ts";
import type { OciDigest } from "../core/oci/oci-digest.ts";

/** What was promised of a content. */
export interface Promised {
  readonly digest: OciDigest;
  /** `undefined` where only the digest is known. */
  readonly size: number | undefined;
}

/**
 * Yields `content`, and throws `content-mismatch` instead of ending where it is another one than was
 * promised; where there is too much of it, as soon as that is seen. `origin` is for the message.
 */
export async function* verifyContent(
  content: AsyncIterable<Uint8Array>,
  promised: Promised,
  origin: string,
): AsyncGenerator<Uint8Array, void> {
  const algorithm = ociDigestAlgorithm(promised.digest);
  const hash = createHash(algorithm);
  let size = 0;
  for await (const bytes of content) {
    size += bytes.length;
    if (promised.size !== undefined && size > promised.size) {
      throw mismatch(promised, origin, `it has more than ${promised.size} bytes`);
    }
    hash.update(bytes);
    yield bytes;
  }
  if (promised.size !== undefined && size !== promised.size) {
    throw mismatch(promised, origin, `it has ${size} bytes instead of ${promised.size}`);
  }
  const digest = formatOciDigest(algorithm, hash.digest());
  if (digest !== promised.digest) throw mismatch(promised, origin, `its digest is ${digest}`);
}

/** The error for what is another content than was promised. */
export function mismatch(promised: Promised, origin: string, reason: string): ComposefsError {
  return new ComposefsError(
    "content-mismatch",
    `Cannot use ${promised.digest} of "${origin}": ${reason}`,
  );
}

/** Joins a verified content of at most `maxSize` bytes. Throws `content-mismatch`. */
export async function readVerified(
  content: AsyncIterable<Uint8Array>,
  promised: Promised & { readonly size: number },
  origin: string,
  maxSize: number,
): Promise<Uint8Array> {
  if (promised.size > maxSize) {
    throw mismatch(promised, origin, `${promised.size} bytes are more than the ${maxSize} allowed`);
  }
  const whole = new Uint8Array(promised.size);
  let at = 0;
  for await (const bytes of verifyContent(content, promised, origin)) {
    whole.set(bytes, at);
    at += bytes.length;
  }
  return whole;
}
