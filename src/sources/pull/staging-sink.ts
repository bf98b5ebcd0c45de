/** The staging of a repository as the place where a layer's contents go, with the other name of each. */

import { createHash, hash } from "node:crypto";
import type { Hash } from "node:crypto";

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { ComposefsError } from "../../core/errors.ts";
import { close } from "../../floor/mod.ts";
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
    this.contents.push({ sha256: hash("sha256", data, "hex"), digest, size: data.length });
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

/** What is read ends up in the hash of the layer, so that it is verified there. */
function* readPieces(
  { config }: ObjectStaging,
  digest: FsVerityDigest,
  size: number,
): Generator<Uint8Array, void> {
  const { fd, size: actual } = openObject(config, digest);
  try {
    if (actual !== size)
      throw new ComposefsError(
        "object-corrupt",
        `Cannot read object ${digest}: it has ${actual} bytes instead of ${size}`,
      );
    yield* readFilePieces(fd, size);
  } finally {
    close(fd);
  }
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
    this.#contents.push({ sha256: this.#hash.digest("hex"), digest, size });
    return digest;
  }

  abort(): void {
    this.#object.abort();
  }
}
