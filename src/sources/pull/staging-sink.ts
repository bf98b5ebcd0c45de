/** The staging of a repository as the place where a layer's contents go, with the other name of each. */

import { createHash, hash } from "node:crypto";
import type { Hash } from "node:crypto";

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { FsVerityHasher } from "../../core/fsverity/hasher.ts";
import { ComposefsError } from "../../core/errors.ts";
import { blockHash, close } from "../../floor/mod.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { Fd } from "../../floor/mod.ts";
import { openObject } from "../../store/mod.ts";
import type { ObjectStaging, OpenObject } from "../../store/mod.ts";
import { readFilePieces } from "./file-pieces.ts";
import type { ContentPair } from "./layer-task.ts";
import type { ObjectSink, OpenContent } from "./object-sink.ts";

/** Stages contents, and hashes each with SHA-256 for the content index. */
export class StagingSink implements ObjectSink {
  readonly contents: ContentPair[] = [];
  readonly #staging: ObjectStaging;

  constructor(staging: ObjectStaging) {
    this.#staging = staging;
  }

  put(data: Uint8Array): FsVerityDigest {
    const { digest } = this.#staging.put(data);
    this.contents.push({
      sha256: sha256Digest(hash("sha256", data, "hex")),
      digest,
      size: data.length,
    });
    return digest;
  }

  begin(size: number): OpenContent {
    return new HashedObject(this.#staging.begin(size), this.contents);
  }

  importFile(fd: Fd, size: number): FsVerityDigest {
    return this.#staging.importFile(fd, size).digest;
  }

  readObject(digest: FsVerityDigest, size: number): Iterable<Uint8Array> {
    return readPieces(this.#staging, digest, size);
  }
}

/**
 * What is read ends up in the hash of the layer. That tells whether it is the content that was meant; but
 * that the object is rightly named by its digest, by which the layer is going to refer to it, only the
 * kernel tells, or another hash.
 */
function* readPieces(
  { config }: ObjectStaging,
  digest: FsVerityDigest,
  size: number,
): Generator<Uint8Array, void> {
  const { fd, size: actual, isEnforced } = openObject(config, digest);
  try {
    if (actual !== size) throw corrupt(digest, `it has ${actual} bytes instead of ${size}`);
    const hasher = isEnforced ? undefined : new FsVerityHasher(blockHash(config.algorithm));
    for (const bytes of readFilePieces(fd, size)) {
      hasher?.update(bytes);
      yield bytes;
    }
    if ((hasher?.digest() ?? digest) !== digest) throw corrupt(digest, "its content is another");
  } finally {
    close(fd);
  }
}

function corrupt(digest: FsVerityDigest, reason: string): ComposefsError {
  return new ComposefsError("object-corrupt", `Cannot read object ${digest}: ${reason}`, {
    hint: "`composefs repo fsck` tells which images need it",
  });
}

class HashedObject implements OpenContent {
  readonly #object: OpenObject;
  readonly #contents: ContentPair[];
  readonly #hash: Hash = createHash("sha256");

  constructor(object: OpenObject, contents: ContentPair[]) {
    this.#object = object;
    this.#contents = contents;
  }

  write(data: Uint8Array): void {
    this.#hash.update(data);
    this.#object.write(data);
  }

  finish(): FsVerityDigest {
    const { digest, size } = this.#object.finish();
    this.#contents.push({ sha256: sha256Digest(this.#hash.digest("hex")), digest, size });
    return digest;
  }

  abort(): void {
    this.#object.abort();
  }
}

function sha256Digest(hex: string): OciDigest {
  return `sha256:${hex}` as OciDigest;
}
