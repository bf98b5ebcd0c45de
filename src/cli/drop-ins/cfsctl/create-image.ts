/** `cfsctl create-image` and `import-image`: images into the repository. */

import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { writeImage } from "../../../core/erofs/writer.ts";
import { validateTree } from "../../../core/tree/validate.ts";
import { interruptible } from "../../interrupt.ts";
import { readChunks } from "../../arguments/load-tree.ts";
import { withRepository } from "./repository.ts";
import { readRootfs, rootfsRequest } from "./rootfs.ts";
import type { CfsctlCall } from "./settings.ts";

/** `cfsctl create-image`. */
export function createImage({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const request = rootfsRequest(invocation);
  return withRepository(settings, (repository) =>
    interruptible(async (signal) => {
      const transaction = repository.begin();
      const root = await readRootfs(request, { objects: repository.objects, signal });
      const tree = validateTree(root);
      const { default: first, extra } = repository.formats;
      const digest = transaction.putImage(writeImage(tree, { version: first }));
      for (const version of extra) transaction.putImage(writeImage(tree, { version }));
      const name = invocation.operands[1];
      if (name !== undefined) transaction.setRef("images", name, digest as string as ByteString);
      await transaction.commit();
      io.out.text(`${repository.algorithm}:${digest}\n`);
      return 0;
    }),
  );
}

/** `cfsctl import-image`. */
export function importImage({ settings, invocation, io }: CfsctlCall): Promise<number> {
  return withRepository(settings, async (repository) => {
    const pieces: Uint8Array[] = [];
    readChunks("image", "-" as ByteString, (chunk) => pieces.push(chunk.slice()));
    const transaction = repository.begin();
    const digest = transaction.putImage(Buffer.concat(pieces));
    transaction.setRef("images", invocation.operands[0]!, digest as string as ByteString);
    await transaction.commit();
    io.out.text(`${repository.algorithm}:${digest}\n`);
    return 0;
  });
}
