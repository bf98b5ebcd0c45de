/** Size and digest of what streams by. */

import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { ComposefsError } from "../../core/errors.ts";
import { formatOciDigest, ociDigestAlgorithm } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";

/** What was promised of some content. */
export interface Promised {
  readonly digest: OciDigest;
  readonly size: number;
}

/** Takes content piece by piece, and says at the end, or as soon as it is known, that it is another. */
export class DigestCheck {
  readonly #promised: Promised;
  /** For messages: `blob sha256:… of registry.example/name`. */
  readonly #what: string;
  readonly #hash: Hash;
  #size = 0;

  constructor(promised: Promised, what: string) {
    this.#promised = promised;
    this.#what = what;
    this.#hash = createHash(ociDigestAlgorithm(promised.digest));
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  /** Throws `content-mismatch` when there is more than was promised. */
  update(bytes: Uint8Array): void {
    this.#size += bytes.length;
    if (this.#size > this.#promised.size) {
      throw this.mismatch(`it has more than the ${this.#promised.size} bytes that were promised`);
    }
    this.#hash.update(bytes);
  }

  /** Throws `content-mismatch` when it is not what was promised. */
  finish(): void {
    if (this.#size !== this.#promised.size) {
      throw this.mismatch(`it has ${this.#size} bytes instead of ${this.#promised.size}`);
    }
    const found = formatOciDigest(ociDigestAlgorithm(this.#promised.digest), this.#hash.digest());
    if (found !== this.#promised.digest) throw this.mismatch(`its digest is ${found}`);
  }

  /** The error, for what else shows that it is another. */
  mismatch(reason: string): ComposefsError {
    return new ComposefsError("content-mismatch", `Cannot use ${this.#what}: ${reason}`);
  }
}
