/** Layers that come as pieces of an archive and open files. */

import { fstat, preadFully } from "#src/floor/mod.ts";
import type { LayerPiece } from "#src/sources/mod.ts";

/** Joins the pieces to the archive. */
export async function joinLayerPieces(pieces: AsyncIterable<LayerPiece>): Promise<Buffer> {
  const taken: Uint8Array[] = [];
  for await (const piece of pieces) {
    if (piece.kind === "tar") {
      taken.push(piece.bytes);
      continue;
    }
    if (fstat(piece.fd).size !== piece.size) throw new Error("the file has another size");
    const content = Buffer.alloc(piece.size);
    preadFully(piece.fd, content, 0);
    taken.push(content);
  }
  return Buffer.concat(taken);
}
