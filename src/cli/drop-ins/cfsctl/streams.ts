/** `cfsctl cat`, and `transaction`, which keeps everything as it is. */

import { ComposefsError } from "../../../core/errors.ts";
import type { FsVerityDigest } from "../../../core/fsverity/digest.ts";
import { FsVerityHasher } from "../../../core/fsverity/hasher.ts";
import { joinSplitStream } from "../../../core/splitstream/mod.ts";
import { blockHash, close, loadZstd, preadFully } from "../../../floor/mod.ts";
import type { Repository } from "../../../store/mod.ts";
import { interruptible } from "../../interrupt.ts";
import { withRepository } from "./repository.ts";
import type { CfsctlCall } from "./settings.ts";

/** `cfsctl cat`. */
export function cat({ settings, invocation, io }: CfsctlCall): Promise<number> {
  return withRepository(settings, async (repository) => {
    const zstd = await loadZstd();
    const opened = repository.openStream(invocation.operands[0]!);
    try {
      const pieces = joinSplitStream(opened.stream, zstd, (digest) =>
        objectPieces(repository, digest),
      );
      for (const piece of pieces) io.out.bytes(piece);
      return 0;
    } finally {
      opened.close();
    }
  });
}

/** Bytes of an object that are read at a time. */
const PIECE = 1 << 20;

/** The content of an object; throws `object-corrupt` at its end if it is not what its name says. */
export function* objectPieces(
  repository: Repository,
  digest: FsVerityDigest,
): Generator<Uint8Array, void> {
  const fd = repository.openObject(digest);
  try {
    const hasher = new FsVerityHasher(blockHash(repository.algorithm));
    const buffer = new Uint8Array(PIECE);
    for (let at = 0, count = -1; count !== 0; at += count) {
      count = preadFully(fd, buffer, at);
      const piece = buffer.subarray(0, count);
      hasher.update(piece);
      if (count > 0) yield piece;
    }
    if (hasher.digest() === digest) return;
  } finally {
    close(fd);
  }
  throw new ComposefsError("object-corrupt", `Cannot read object ${digest}: it has other content`);
}

/** `cfsctl transaction`: holds the lock until a signal ends it. */
export function transaction({ settings }: CfsctlCall): Promise<number> {
  // Signals are listened to before the lock is there for others to see.
  return interruptible<number>((signal) =>
    withRepository(
      settings,
      () =>
        new Promise((_, reject) => {
          const forever = setInterval(() => undefined, 2 ** 30);
          signal.addEventListener("abort", () => {
            clearInterval(forever);
            reject(signal.reason as Error);
          });
        }),
    ),
  );
}
