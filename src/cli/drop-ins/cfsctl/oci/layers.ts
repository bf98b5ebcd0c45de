/** `cfsctl oci layer` and `import-layer`: single layers. */

import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import { readLayer } from "../../../../core/oci/mod.ts";
import type { LayerEntry, OciDigest } from "../../../../core/oci/mod.ts";
import { joinSplitStream } from "../../../../core/splitstream/mod.ts";
import type { SplitStream } from "../../../../core/splitstream/mod.ts";
import { loadZstd } from "../../../../floor/mod.ts";
import type { Zstd } from "../../../../floor/mod.ts";
import { DEFAULT_LAYER_LIMITS } from "../../../../sources/mod.ts";
import { LayerSplitter } from "../../../../sources/pull/layer-splitter.ts";
import { StagingSink } from "../../../../sources/pull/staging-sink.ts";
import { layerStreamName } from "../../../../store/mod.ts";
import { readChunks } from "../../../arguments/load-tree.ts";
import { formatEntries } from "../dumpfile.ts";
import { printJson } from "../json.ts";
import { withRepository } from "../repository.ts";
import type { CfsctlCall } from "../settings.ts";
import { objectPieces } from "../streams.ts";

/** `cfsctl oci layer`. */
export function layer({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const diffId = invocation.operands[0]! as string as OciDigest;
  return withRepository(settings, async (repository) => {
    const zstd = await loadZstd();
    const opened = repository.openStream(layerStreamName(diffId));
    try {
      if (invocation.has("json")) {
        printJson(io.out, { diffId, verity: opened.digest, ...measure(opened.stream, zstd) });
      } else if (invocation.has("dumpfile")) {
        for (const piece of formatEntries(absolute(entriesOf(opened.stream, zstd)))) {
          io.out.bytes(piece);
        }
      } else {
        if (io.out.isTerminal) throw terminal();
        const pieces = joinSplitStream(opened.stream, zstd, (digest) =>
          objectPieces(repository, digest),
        );
        for (const piece of pieces) io.out.bytes(piece);
      }
      return 0;
    } finally {
      opened.close();
    }
  });
}

function entriesOf(stream: SplitStream, zstd: Zstd): Iterable<LayerEntry> {
  // What a sparse file would be with its holes does not matter for a listing.
  return readLayer(stream, { decompression: zstd, expandSparse: (_, stored) => stored });
}

function measure(stream: SplitStream, zstd: Zstd): object {
  let entryCount = 0;
  let externalSize = 0;
  for (const entry of entriesOf(stream, zstd)) {
    entryCount++;
    if (entry.kind !== "leaf" || entry.leaf.kind !== "file") continue;
    const { content } = entry.leaf;
    if (content.kind === "external") externalSize += content.size;
  }
  return {
    size: stream.size,
    entryCount,
    splitstream: {
      externalObjects: stream.objectRefs.length,
      externalSize,
      inlineSize: Math.max(0, stream.size - externalSize),
    },
  };
}

/** Paths as composefs-rs shows them: as they stand, with one slash in front and none behind. */
function* absolute(entries: Iterable<LayerEntry>): Generator<LayerEntry> {
  for (const entry of entries) {
    const path = absolutePath(entry.path);
    if (entry.kind === "hardlink") yield { ...entry, path, target: absolutePath(entry.target) };
    else yield { ...entry, path };
  }
}

function absolutePath(path: ByteString): ByteString {
  const bare = `/${path.replace(/^\//, "")}`.replace(/(?<=.)\/+$/, "");
  return (bare === "/" ? "" : bare) as ByteString;
}

function terminal(): ComposefsError {
  return new ComposefsError("output-failed", "Cannot write layer: standard output is a terminal", {
    hint: "redirect it to a file or to tar, or use --json or --dumpfile",
  });
}

/** `cfsctl oci import-layer`. The archive has to be the one that its digest says. */
export function importLayer({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const [digest, name] = invocation.operands as readonly [ByteString, ByteString?];
  const diffId = digest as string as OciDigest;
  return withRepository(settings, async (repository) => {
    const { algorithm } = repository;
    const streamName = layerStreamName(diffId);
    const transaction = repository.begin();
    let stream = repository.streamDigest(streamName);
    if (stream === undefined) {
      const { compression } = await loadZstd();
      const sink = new StagingSink(transaction.objects);
      const limits = DEFAULT_LAYER_LIMITS;
      const splitter = new LayerSplitter({ diffId, algorithm, compression, limits, sink });
      try {
        readChunks("layer", "-" as ByteString, (chunk) => splitter.bytes(chunk));
        stream = transaction.putStream(streamName, splitter.finish().stream);
      } catch (error) {
        splitter.discard();
        transaction.discard();
        throw error;
      }
    }
    if (name !== undefined) transaction.setRef("streams", name, streamName);
    await transaction.commit();
    io.out.text(`${algorithm}:${stream}\n`);
    return 0;
  });
}
