/**
 * One graph root of podman's storage, for reading: its lists of images and layers, and what it keeps of
 * images besides layers.
 *
 *     DRIVER-images/images.json            what images there are
 *     DRIVER-images/ID/NAME                manifests and configs ("big data")
 *     DRIVER-layers/layers.json            what layers there are, and which lies on which
 *     DRIVER-layers/ID.tar-split.gz        the archive of a layer without the content of its files
 *     overlay/ID/diff, vfs/dir/ID          the files of a layer
 *
 * Source: containers/storage images.go, layers.go, drivers/overlay, drivers/vfs.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { byteString } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { parseJsonDocument } from "../../core/oci/json.ts";
import type { JsonValue } from "../../core/oci/json.ts";
import { isOciDigest } from "../../core/oci/oci-digest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import { isErrno } from "../../floor/errors.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, close, openat } from "../../floor/file.ts";
import type { Fd } from "../../floor/file.ts";
import { openBeneath } from "../../floor/open-beneath.ts";
import { tryReadLock } from "../../floor/record-lock.ts";
import { corruptArchive, readImageFile } from "../image-files.ts";
import type { ImageFiles } from "../image-files.ts";
import { openDirectoryFiles } from "../layout/directory-files.ts";
import type { NamedImage } from "./storage-reference.ts";

/** An image of a store. */
export interface StoredImage extends NamedImage {
  /** ID of the uppermost layer; `undefined` for an image without layers. */
  readonly topLayer: string | undefined;
  /** Names of what is kept besides, with their sizes. */
  readonly bigData: ReadonlyMap<string, number>;
}

/** A layer of a store. */
export interface StoredLayer {
  readonly id: string;
  readonly parent: string | undefined;
  readonly diffId: OciDigest | undefined;
  /** Bytes of the archive; `undefined` where it is not told. */
  readonly diffSize: number | undefined;
}

/** Drivers whose layers are directories with the files as they are. */
const CONTENT_OF_DRIVER = {
  overlay: (id: string) => `overlay/${id}/diff`,
  vfs: (id: string) => `vfs/dir/${id}`,
} as const;

type Driver = keyof typeof CONTENT_OF_DRIVER;

const LIST_SIZE_MAX = 1 << 24;
const IMAGES_MAX = 100_000;
const NAMES_MAX = 10_000;
const ID = /^[0-9a-f]{64}$/;
/** While podman stores a layer nobody reads. */
const LOCK_WAIT = 120_000;
const LOCK_INTERVAL = 50;

/** A graph root, open. */
export class ImageStore {
  readonly name: string;
  readonly #driver: Driver;
  readonly #files: ImageFiles;
  readonly #dirfd: Fd;

  /** Throws `unsupported-media-type` for a driver that is not known, and SyscallError. */
  constructor(graphRoot: string, driver: string, name: string) {
    if (!Object.hasOwn(CONTENT_OF_DRIVER, driver)) {
      throw new ComposefsError(
        "unsupported-media-type",
        `Cannot read images of "${graphRoot}": its storage driver is "${driver}"`,
        { hint: "known are overlay and vfs" },
      );
    }
    this.name = name;
    this.#driver = driver as Driver;
    this.#files = openDirectoryFiles(graphRoot as ByteString, name);
    this.#dirfd = openat(AT_FDCWD, graphRoot, O_RDONLY | O_DIRECTORY);
  }

  close(): void {
    this.#files.close();
    close(this.#dirfd);
  }

  /** Waits until nobody changes layers, and keeps it so until the returned function is called. */
  async lockLayers(signal?: AbortSignal): Promise<() => void> {
    const lock = this.#files.open(`${this.#driver}-layers/layers.lock` as ByteString);
    // A store that is only for reading need not have one.
    if (lock === undefined) return () => undefined;
    try {
      for (let waited = 0; !tryReadLock(lock.fd); waited += LOCK_INTERVAL) {
        if (waited >= LOCK_WAIT) {
          throw new ComposefsError(
            "repository-busy",
            `Cannot read image "${this.name}": podman has locked its storage`,
          );
        }
        await sleep(LOCK_INTERVAL, undefined, signal === undefined ? {} : { signal });
      }
    } catch (error) {
      lock.close();
      throw error;
    }
    return () => lock.close();
  }

  async images(): Promise<StoredImage[]> {
    const list = await this.#list(`${this.#driver}-images/images.json`, "images of podman");
    return list.map((image) => {
      const digests = image.optional("big-data-digests");
      const bigDataNames = image.list("big-data-names", NAMES_MAX).map((one) => one.text());
      const sizes = image.optional("big-data-sizes");
      const own = image.optional("digest")?.text();
      const ofManifests = bigDataNames
        .filter((one) => one.startsWith("manifest"))
        .map((one) => digests?.optional(one)?.text());
      return {
        id: readId(image.field("id")),
        names: image.list("names", NAMES_MAX).map((one) => one.text()),
        digests: [own, ...ofManifests].filter((one) => one !== undefined).filter(isOciDigest),
        topLayer: readOptionalId(image.optional("layer")),
        bigData: new Map(bigDataNames.map((one) => [one, sizes?.optional(one)?.size() ?? 0])),
      };
    });
  }

  async layers(): Promise<Map<string, StoredLayer>> {
    const list = [
      ...(await this.#list(`${this.#driver}-layers/layers.json`, "layers of podman")),
      ...(await this.#list(`${this.#driver}-layers/volatile-layers.json`, "layers of podman")),
    ];
    return new Map(
      list.map((layer) => {
        const id = readId(layer.field("id"));
        const diffId = layer.optional("diff-digest")?.text();
        return [
          id,
          {
            id,
            parent: readOptionalId(layer.optional("parent")),
            diffId: diffId !== undefined && isOciDigest(diffId) ? diffId : undefined,
            diffSize: layer.optional("diff-size")?.size(),
          },
        ];
      }),
    );
  }

  /** Reads what is kept of an image under a name; `undefined` where there is nothing. */
  readBigData(image: StoredImage, key: string, maxSize: number): Promise<Uint8Array | undefined> {
    const path = `${this.#driver}-images/${image.id}/${bigDataName(key)}`;
    return readImageFile(this.#files, path as ByteString, maxSize);
  }

  /** Opens a file beside the list of layers. */
  openTarSplit(id: string): ReturnType<ImageFiles["open"]> {
    return this.#files.open(`${this.#driver}-layers/${id}.tar-split.gz` as ByteString);
  }

  /** Opens the directory with the files of a layer. */
  openContent(id: string): Fd {
    if (this.#driver === "overlay") this.#refuseComposefs(id);
    const path = CONTENT_OF_DRIVER[this.#driver](id);
    return openBeneath(this.#dirfd, path, O_RDONLY | O_DIRECTORY, { symlinks: "refuse" });
  }

  /** In podman's own composefs mode the directory has objects, not files by their names. */
  #refuseComposefs(id: string): void {
    try {
      close(openBeneath(this.#dirfd, `overlay/${id}/composefs-data`, O_RDONLY | O_DIRECTORY));
    } catch (error) {
      if (isErrno(error, "ENOENT")) return;
      throw error;
    }
    throw new ComposefsError(
      "unsupported-media-type",
      `Cannot read image "${this.name}": podman stores layer ${id} in its composefs mode`,
      { hint: "pull it from its registry instead" },
    );
  }

  async #list(path: string, what: string): Promise<JsonValue[]> {
    const bytes = await readImageFile(this.#files, path as ByteString, LIST_SIZE_MAX);
    return bytes === undefined ? [] : parseJsonDocument(what, bytes).items(IMAGES_MAX);
  }
}

/** The error for a store that contradicts itself. */
export function corruptStore(name: string, reason: string, cause?: unknown): ComposefsError {
  return corruptArchive(name, reason, cause);
}

/** File names of big data: what is not plain comes as base64. */
function bigDataName(key: string): string {
  if (/^[a-z0-9.]+$/.test(key)) return key;
  return `=${Buffer.from(byteString(key), "latin1").toString("base64")}`;
}

function readId(value: JsonValue): string {
  const id = value.text();
  if (!ID.test(id)) throw value.invalid("is not 64 hexadecimal digits");
  return id;
}

function readOptionalId(value: JsonValue | undefined): string | undefined {
  return value === undefined || value.text() === "" ? undefined : readId(value);
}
