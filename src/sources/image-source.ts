/**
 * Where OCI images come from, and where they go: one interface for registries, layouts and archives.
 *
 * Whatever a source returns is verified against the digest and size that were asked for, and anything
 * else that it holds is never believed. Sources and targets may be used by several readers at once; their
 * methods share no state but what is opened.
 */

import type { Descriptor } from "../core/oci/descriptor.ts";
import type { OciDigest } from "../core/oci/oci-digest.ts";
import type { Fd } from "../floor/file.ts";

/** What every call that may take long takes. */
export interface SourceCallOptions {
  /** Stops the call: it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A manifest or index, as it is stored. */
export interface ResolvedImage {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** A part of a blob. */
export interface BlobRange {
  readonly offset: number;
  readonly length: number;
}

/** Options of `openRanges`. */
export interface RangeOptions extends SourceCallOptions {
  /**
   * Refuses to get the parts out of the whole, where there is no other way: throws a `NoRangesError` before
   * the first piece.
   */
  readonly onlyParts?: boolean | undefined;
}

/** A piece of a layer's archive without compression; joined they are the archive, bit for bit. */
export type LayerPiece =
  /** Bytes of the archive; the buffer is the caller's. */
  | { readonly kind: "tar"; readonly bytes: Uint8Array }
  /** The whole content of an open file, from its start; closed when the next piece is asked for. */
  | { readonly kind: "file"; readonly fd: Fd; readonly size: number };

/** An image somewhere. */
export interface ImageSource {
  /** For people: `oci:dir:tag`. */
  readonly name: string;
  /**
   * What the reference names: a manifest or an index. Verified where the reference, or an index that it
   * was found in, has a digest. Throws `invalid-manifest`, `content-mismatch`, …
   */
  resolve(options?: SourceCallOptions): Promise<ResolvedImage>;
  /** A manifest, index, config or other small blob, verified. Throws `content-mismatch`. */
  readManifest(descriptor: Descriptor, options?: SourceCallOptions): Promise<Uint8Array>;
  /**
   * A blob as it is stored, in pieces that are the caller's. Size and digest are verified while it
   * streams: the iterator throws `content-mismatch` instead of ending, and as soon as there is too much;
   * until it has ended the bytes are not to be trusted.
   */
  openBlob(descriptor: Descriptor, options?: SourceCallOptions): AsyncIterable<Uint8Array>;
  /**
   * Parts of a blob, in the order of the ranges, each in one piece or more. They are NOT verified.
   * `undefined` where the source cannot.
   */
  readonly openRanges?:
    | ((
        descriptor: Descriptor,
        ranges: readonly BlobRange[],
        options?: RangeOptions,
      ) => AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>)
    | undefined;
  /** Manifests that are about another one: signatures, and what else is attached. */
  readonly referrers?:
    | ((
        subject: OciDigest,
        options?: SourceCallOptions & { readonly artifactType?: string },
      ) => Promise<readonly Descriptor[]>)
    | undefined;
  /**
   * A layer whose files lie on this machine, so that their content can be reflinked. `diffId` is verified:
   * the iterator throws `content-mismatch` instead of ending.
   */
  readonly openLayer?:
    | ((
        descriptor: Descriptor,
        diffId: OciDigest,
        options?: SourceCallOptions,
      ) => AsyncIterable<LayerPiece>)
    | undefined;
  close(): Promise<void>;
}

/** A place that takes images. What was put before a failure stays there and does no harm. */
export interface ImageTarget {
  /** For people, as of {@link ImageSource}. */
  readonly name: string;
  /** What its name says that the image is to be called there; for `putManifest`, which does not know it. */
  readonly tag: string | undefined;
  hasBlob(descriptor: Descriptor): Promise<boolean>;
  /** Stores a blob, and verifies size and digest while it is written. Throws `content-mismatch`. */
  putBlob(descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** Stores a manifest or index that names blobs put before; `tag` is a name for it. */
  putManifest(bytes: Uint8Array, mediaType: string, tag?: string): Promise<OciDigest>;
  /** Makes all of it durable and visible. Without it nothing is promised. */
  close(): Promise<void>;
  /** Gives up instead: what is not visible yet stays so. */
  readonly discard?: (() => Promise<void>) | undefined;
}
