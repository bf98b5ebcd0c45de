/** What a pull is asked, what it tells on the way, and what it reports. */

import type { ByteString } from "../../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Manifest } from "../../core/oci/manifest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type { Platform } from "../../core/oci/platform.ts";
import type { ErofsVariant, StagingStats } from "../../store/mod.ts";
import type { ChunkedDecision } from "../chunked/mod.ts";
import type { ImageSource } from "../image-source.ts";
import type { LayerImporter } from "./import-layer.ts";
import type { LayerLimits } from "./limits.ts";

/** Options of {@link pullImage}. */
export interface PullOptions {
  /** The tag that the image gets. Without one the next garbage collection takes it. */
  readonly tag?: ByteString | undefined;
  /** Which image of an index; that of this machine unless told. */
  readonly platform?: Platform | undefined;
  /** Make the bootable EROFS image as well. */
  readonly bootable?: boolean;
  /** Keep the `user.` xattrs in the bootable EROFS image. */
  readonly keepUserXattrs?: boolean;
  /** What each layer may cost. */
  readonly limits?: Partial<LayerLimits> | undefined;
  /** Layers that are fetched and taken apart at a time; 3, or the number of processors, unless told. */
  readonly layersAtOnce?: number | undefined;
  /** Other ways to get a layer, which are asked first. */
  readonly importers?: readonly LayerImporter[];
  /** Looks at what was made before anything is named; throws to refuse it. */
  readonly check?: ((image: PulledImage) => Promise<void>) | undefined;
  /** Fetch of a zstd:chunked layer only the files that the repository lacks; it does unless told. */
  readonly partial?: boolean | undefined;
  /** The name by which the source can be opened again, for repairs; a byte string. */
  readonly origin?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((event: PullEvent) => void) | undefined;
}

/** An image before it is named. */
export interface PulledImage {
  readonly source: ImageSource;
  readonly manifestDigest: OciDigest;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  readonly configBytes: Uint8Array;
  readonly erofs: readonly PulledErofs[];
  /** The digest that an EROFS image of it has, or would have if it were made. */
  erofsDigest(variant: ErofsVariant): Promise<FsVerityDigest>;
}

/** An EROFS image that was made, or was there. */
export interface PulledErofs {
  readonly version: number;
  readonly bootable: boolean;
  readonly digest: FsVerityDigest;
}

/** What a pull tells while it works. */
export type PullEvent =
  /** All layers of the image, before the first is fetched. */
  | { readonly kind: "layers"; readonly layers: readonly PullLayer[] }
  /** How a zstd:chunked layer is going to be fetched. */
  | { readonly kind: "chunked"; readonly index: number; readonly decision: ChunkedDecision }
  /** `fetched` bytes of the blob of a layer have come. */
  | { readonly kind: "progress"; readonly index: number; readonly fetched: number }
  /** A layer has been verified and stored; `saved` bytes of its blob were not needed. */
  | { readonly kind: "layer-done"; readonly index: number; readonly saved: number }
  | { readonly kind: "composing" }
  | { readonly kind: "committing" };

/** A layer as it is shown. */
export interface PullLayer {
  readonly digest: OciDigest;
  /** Bytes of the blob. */
  readonly size: number;
  /** It is in the repository, and is not fetched. */
  readonly isPresent: boolean;
}

/** What became of a layer. */
export interface PullLayerReport extends PullLayer {
  readonly diffId: OciDigest;
  /** Bytes that were fetched. */
  readonly fetched: number;
  /** Bytes of the archive, uncompressed; 0 for one that was there. */
  readonly unpacked: number;
  readonly entries: number;
  /** How it was fetched, if it is zstd:chunked and had to be, and partial pulls were not turned off. */
  readonly chunked: ChunkedDecision | undefined;
}

/** What a pull did. */
export interface PullReport {
  /** `up-to-date` when nothing had to be made. */
  readonly outcome: "pulled" | "up-to-date";
  /** Where the image came from. */
  readonly source: string;
  readonly tag: ByteString | undefined;
  readonly kind: "image" | "artifact";
  readonly manifestDigest: OciDigest;
  /** The digest of the stream of the manifest. */
  readonly manifestStream: FsVerityDigest;
  readonly configDigest: OciDigest;
  readonly layers: readonly PullLayerReport[];
  readonly erofs: readonly PulledErofs[];
  /** All that the pull put into the repository. */
  readonly objects: StagingStats;
  /** The files of the layers among it. */
  readonly layerObjects: StagingStats;
}
