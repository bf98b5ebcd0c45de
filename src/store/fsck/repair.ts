/**
 * Repairs what fsck found, as far as there is good content somewhere: in another repository, in the layers
 * an EROFS image is made of, where the image came from.
 *
 * Nothing is believed: content takes the place of an object when it has its digest. What is of no use any
 * more (a stream that cannot be read) goes only when its image is pulled anew. Afterwards everything is
 * checked again, and that report says what is lost.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { objectPath } from "../../core/fsverity/digest.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { Decompression } from "../../core/splitstream/compression.ts";
import { SyscallError, unlinkatIfExists } from "../../floor/mod.ts";
import { openOciImage } from "../oci/image.ts";
import type { OciImage } from "../oci/image.ts";
import {
  configStreamName,
  layerStreamName,
  manifestOfStreamName,
  manifestStreamName,
  tagOfRef,
} from "../oci/names.ts";
import { regenerateErofs } from "../oci/regenerate.ts";
import type { Repository } from "../repository.ts";
import { readLinks } from "../survey/links.ts";
import { checkRepository } from "./check-repository.ts";
import type { FsckOptions } from "./check-repository.ts";
import { DamagedObjects } from "./damaged-objects.ts";
import type { RepairedObject } from "./damaged-objects.ts";
import type { FsckReport } from "./finding.ts";
import type { ObjectFetcher, TaggedImage } from "./object-fetcher.ts";

/** Options of {@link repairRepository}. */
export interface RepairOptions extends FsckOptions {
  /** Other repositories, or directories of objects, to take content from. */
  readonly from?: readonly ByteString[];
  readonly fetcher?: ObjectFetcher | undefined;
}

/** What was done. */
export interface RepairReport {
  /** What there was. */
  readonly before: FsckReport;
  /** What is left. */
  readonly after: FsckReport;
  /** Objects that are whole again, with where their content came from. */
  readonly repaired: readonly RepairedObject[];
  /** What could not be done, for people. */
  readonly failures: readonly string[];
}

/**
 * Checks a repository, repairs it, and checks it again. What cannot be repaired is in the report, and no error.
 * Throws as `Repository.assertWritable`, and for an abort.
 */
export async function repairRepository(
  repository: Repository,
  options: RepairOptions,
): Promise<RepairReport> {
  const before = await checkRepository(repository, options);
  if (before.ok) return { before, after: before, repaired: [], failures: [] };
  repository.assertWritable();
  const repair = new Repair(repository, options, before);
  await repair.run();
  const { repaired, failures } = repair;
  return { before, after: await checkRepository(repository, options), repaired, failures };
}

class Repair {
  readonly failures: string[] = [];
  readonly #repository: Repository;
  readonly #options: RepairOptions;
  readonly #decompression: Decompression;
  readonly #damaged: DamagedObjects;
  readonly #tags: readonly TaggedImage[];

  constructor(repository: Repository, options: RepairOptions, report: FsckReport) {
    this.#repository = repository;
    this.#options = options;
    this.#decompression = options.decompression;
    this.#damaged = new DamagedObjects(repository, report);
    const hurt = new Set<string>(report.hurt.map(({ name }) => name));
    const broken = new Set<string>(
      report.findings.flatMap(({ where, severity }) => (severity === "damage" ? [where] : [])),
    );
    this.#tags = readLinks(repository, "streams").refs.flatMap(({ name, entry }) => {
      const tag = tagOfRef(name);
      const manifestDigest = manifestOfStreamName(entry);
      const isHurt = tag !== undefined && (hurt.has(tag) || broken.has(`streams/refs/${name}`));
      return isHurt && manifestDigest !== undefined ? [{ tag, manifestDigest }] : [];
    });
  }

  get repaired(): readonly RepairedObject[] {
    return this.#damaged.repaired;
  }

  async run(): Promise<void> {
    this.#damaged.takeFromHere(this.#options.from ?? []);
    await this.#linkImages();
    for (const tagged of this.#tags) await this.#attempt(tagged, () => this.#remakeImages(tagged));
    const { fetcher } = this.#options;
    if (fetcher === undefined) return;
    for (const tagged of this.#tags) {
      await this.#attempt(tagged, () => this.#fetch(tagged, fetcher));
      await this.#attempt(tagged, () => this.#remakeImages(tagged));
    }
  }

  async #attempt({ tag }: TaggedImage, work: () => Promise<void>): Promise<void> {
    try {
      this.#options.signal?.throwIfAborted();
      await work();
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!(error instanceof ComposefsError || error instanceof SyscallError)) throw error;
      this.failures.push(`image ${displayText(tag)}: ${error.message}`);
    }
  }

  /** Makes the entries of images again whose refs are left: their names say where they led. */
  async #linkImages(): Promise<void> {
    const { entries, refs } = readLinks(this.#repository, "images");
    const transaction = this.#repository.begin();
    for (const { entry } of refs) {
      const digest = entry as string as FsVerityDigest;
      const isDigest = entry.length === objectPath(digest).length - 1 && /^[0-9a-f]+$/.test(entry);
      if (entries.has(entry) || !isDigest || !this.#repository.hasObject(digest)) continue;
      transaction.linkImage(digest);
    }
    await transaction.commit();
  }

  /** Makes EROFS images again that are damaged or have lost their entries. */
  async #remakeImages({ tag }: TaggedImage): Promise<void> {
    const image = this.#open(tag);
    if (image === undefined || image.config === undefined) return;
    const { entries } = readLinks(this.#repository, "images");
    const lost = [...image.erofs.values()].filter(
      (digest) => this.#damaged.has(digest) || !entries.has(digest as string as ByteString),
    );
    if (lost.length === 0) return;
    const transaction = this.#repository.begin();
    for (const { wanted, digest, bytes } of regenerateErofs(
      this.#repository,
      image,
      this.#decompression,
    )) {
      if (digest !== wanted) continue;
      if (this.#damaged.has(digest)) this.#damaged.replace(digest, bytes, "its layers");
      if (this.#repository.hasObject(digest)) transaction.linkImage(digest);
    }
    await transaction.commit();
  }

  /** Pulls an image whose streams cannot all be read; then fetches the objects that are still damaged. */
  async #fetch(tagged: TaggedImage, fetcher: ObjectFetcher): Promise<void> {
    let image = this.#open(tagged.tag);
    if (image === undefined || !this.#areStreamsWhole(image)) {
      await this.#pullAgain(tagged, image, fetcher);
      image = this.#open(tagged.tag);
    }
    if (image === undefined) return;
    const wanted = this.#wantedOf(image);
    if (wanted.size === 0) return;
    for await (const content of fetcher.fetchObjects(image, tagged.tag, wanted)) {
      for (const digest of wanted) {
        if (!this.#damaged.has(digest)) continue;
        if (this.#damaged.replace(digest, content, "where it came from")) break;
      }
    }
  }

  /** What the streams of the layers refer to and is damaged. */
  #wantedOf(image: OciImage): Set<FsVerityDigest> {
    const wanted = new Set<FsVerityDigest>();
    for (const { diffId } of image.layers) {
      try {
        const { stream, close: closeStream } = this.#repository.openStream(layerStreamName(diffId));
        for (const digest of stream.objectRefs) if (this.#damaged.has(digest)) wanted.add(digest);
        closeStream();
      } catch (error) {
        if (!(error instanceof ComposefsError || error instanceof SyscallError)) throw error;
      }
    }
    return wanted;
  }

  #areStreamsWhole(image: OciImage): boolean {
    return image.layers.every(
      ({ diffId, stream }) =>
        !this.#damaged.has(stream) &&
        this.#repository.hasObject(stream) &&
        this.#repository.streamDigest(layerStreamName(diffId)) !== undefined,
    );
  }

  /** Removes the streams that cannot be read, and lets the image be pulled. */
  async #pullAgain(
    tagged: TaggedImage,
    image: OciImage | undefined,
    fetcher: ObjectFetcher,
  ): Promise<void> {
    const names = [manifestStreamName(tagged.manifestDigest)];
    if (image !== undefined) {
      names.push(configStreamName(image.configDigest));
      names.push(...image.layers.map(({ diffId }) => layerStreamName(diffId)));
    }
    const links = readLinks(this.#repository, "streams").entries;
    for (const [name, digest] of links) {
      // Whatever is damaged and has a name: a pull would take it for whole.
      if (!this.#damaged.has(digest)) continue;
      unlinkatIfExists(this.#repository.dirfd, `streams/${name}`);
      unlinkatIfExists(this.#repository.dirfd, `objects/${objectPath(digest)}`);
    }
    // The bytes of a manifest or config may be damaged while its stream is whole.
    for (const name of names) {
      const digest = links.get(name);
      if (digest === undefined) continue;
      for (const object of this.#objectsOf(name)) {
        if (!this.#damaged.has(object)) continue;
        unlinkatIfExists(this.#repository.dirfd, `objects/${objectPath(object)}`);
      }
    }
    await fetcher.fetchImage(tagged);
    this.#damaged.lookAgain("where it came from");
  }

  #objectsOf(name: ByteString): readonly FsVerityDigest[] {
    try {
      const { stream, close: closeStream } = this.#repository.openStream(name);
      closeStream();
      return stream.objectRefs;
    } catch (error) {
      if (error instanceof ComposefsError || error instanceof SyscallError) return [];
      throw error;
    }
  }

  #open(tag: ByteString): OciImage | undefined {
    try {
      return openOciImage(this.#repository, tag, this.#decompression);
    } catch (error) {
      if (error instanceof ComposefsError || error instanceof SyscallError) return undefined;
      throw error;
    }
  }
}
