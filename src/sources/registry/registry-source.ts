/** An image in a registry, as a source: from the first of its places that has it. */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { isIndexMediaType, isManifestMediaType } from "../../core/oci/media-type.ts";
import { MANIFEST_SIZE_MAX } from "../../core/oci/manifest.ts";
import {
  formatImageReference,
  parseImageName,
  tagOrDigest,
  withRegistry,
} from "../../core/oci/reference.ts";
import type { ImageReference, ShortName } from "../../core/oci/reference.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import type {
  BlobRange,
  ImageSource,
  RangeOptions,
  ResolvedImage,
  SourceCallOptions,
} from "../image-source.ts";
import { openBlob } from "./blob.ts";
import { DigestCheck } from "./digest-check.ts";
import { nameOf, peekManifest, readManifest, readManifestOf } from "./manifests.ts";
import type { Repository } from "./manifests.ts";
import { clientFor, surroundingsOf } from "./options.ts";
import type { RegistryOptions } from "./options.ts";
import { openRanges } from "./ranges.ts";
import type { RangeKnowledge } from "./ranges.ts";
import { readReferrers } from "./referrers.ts";
import type { ReferrersOptions } from "./referrers.ts";
import { pullEndpoints, readRegistries, resolveShortName } from "./config/registries.ts";
import type { Registries } from "./config/registries.ts";

/** Options of {@link openRegistrySource}. */
export interface RegistrySourceOptions extends RegistryOptions {
  /** Where names without a registry are: to be searched for as registries.conf says, unless told. */
  readonly shortNames?: "docker.io" | undefined;
}

/** A place that may have the image. */
interface Candidate extends Repository {
  readonly reference: ImageReference;
}

/** Tries of a place that is not the last one. */
const MIRROR_ATTEMPTS = 2;

/**
 * Opens an image of a registry by its name. Configuration is read now, the registry asked later.
 * Throws `invalid-reference`, `invalid-config`, `registry-denied` for a blocked registry.
 */
export function openRegistrySource(
  text: string,
  options: RegistrySourceOptions = {},
): RegistrySource {
  const registries = readRegistries(surroundingsOf(options), options.registriesConf);
  const name = parseImageName(text);
  const references = fullNames(registries, name, options.shortNames);
  const candidates = references.flatMap((reference) =>
    pullEndpoints(registries, reference).map((endpoint) => ({
      client: clientFor(endpoint, registries, options),
      repository: endpoint.reference.repository,
      reference: endpoint.reference,
    })),
  );
  return new RegistrySource(`docker://${formatImageReference(references[0]!)}`, candidates);
}

/** See {@link openRegistrySource}. */
export class RegistrySource implements ImageSource {
  readonly name: string;
  readonly #candidates: readonly Candidate[];
  #chosen: Candidate | undefined;
  /** What was learned of the server's ranges. */
  readonly #ranges: RangeKnowledge = { manners: "many" };

  constructor(name: string, candidates: readonly Candidate[]) {
    this.name = name;
    this.#candidates = candidates;
    if (candidates.length === 1) this.#chosen = candidates[0];
  }

  async resolve({ signal }: SourceCallOptions = {}): Promise<ResolvedImage> {
    return await this.#first((place, attempts) =>
      readManifest(place, tagOrDigest(place.reference), { signal, attempts }),
    );
  }

  /**
   * Asks what the reference names, without reading it: cheaper than `resolve`, and not verified.
   * `undefined` where the registry does not say.
   */
  async peek({ signal }: SourceCallOptions = {}): Promise<Descriptor | undefined> {
    return await this.#first((place, attempts) =>
      peekManifest(place, tagOrDigest(place.reference), { signal, attempts }),
    );
  }

  async readManifest(descriptor: Descriptor, options: SourceCallOptions = {}): Promise<Uint8Array> {
    const place = await this.#place(options);
    const { mediaType } = descriptor;
    if (isManifestMediaType(mediaType) || isIndexMediaType(mediaType)) {
      return await readManifestOf(place, descriptor, options);
    }
    return await readSmallBlob(place, descriptor, options);
  }

  async *openBlob(
    descriptor: Descriptor,
    options: SourceCallOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    yield* openBlob(await this.#place(options), descriptor, options);
  }

  async *openRanges(
    descriptor: Descriptor,
    ranges: readonly BlobRange[],
    options: RangeOptions = {},
  ): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }, void, undefined> {
    const place = await this.#place(options);
    yield* openRanges(place, descriptor, ranges, this.#ranges, options);
  }

  async referrers(
    subject: OciDigest,
    options: ReferrersOptions = {},
  ): Promise<readonly Descriptor[]> {
    return await readReferrers(await this.#place(options), subject, options);
  }

  async close(): Promise<void> {
    for (const { client } of this.#candidates) client.close();
    await Promise.resolve();
  }

  /** The place that has the image; asks, if nobody did before. */
  async #place(options: SourceCallOptions): Promise<Candidate> {
    if (this.#chosen === undefined) await this.resolve(options);
    return this.#chosen!;
  }

  async #first<T>(ask: (place: Candidate, attempts?: number) => Promise<T>): Promise<T> {
    if (this.#chosen !== undefined) return await ask(this.#chosen);
    const failures: string[] = [];
    for (const place of this.#candidates) {
      const isLast = place === this.#candidates.at(-1);
      try {
        const found = await ask(place, isLast ? undefined : MIRROR_ATTEMPTS);
        this.#chosen = place;
        return found;
      } catch (error) {
        if (!(error instanceof ComposefsError)) throw error;
        if (isLast) throw withFailures(error, failures);
        failures.push(error.message);
      }
    }
    throw new TypeError("a source without a place");
  }
}

function fullNames(
  registries: Registries,
  name: ImageReference | ShortName,
  shortNames: RegistrySourceOptions["shortNames"],
): ImageReference[] {
  if (name.registry !== undefined) return [name];
  if (shortNames === "docker.io") return [withRegistry(name, shortNames)];
  return resolveShortName(registries, name);
}

/** Says of the other places as well why not. */
function withFailures(error: ComposefsError, failures: readonly string[]): ComposefsError {
  return new ComposefsError(
    error.code,
    [error.message, ...failures.map((each) => `before that: ${each}`)].join("; "),
    { cause: error, ...(error.hint === undefined ? {} : { hint: error.hint }) },
  );
}

async function readSmallBlob(
  place: Repository,
  descriptor: Descriptor,
  options: SourceCallOptions,
): Promise<Uint8Array> {
  if (descriptor.size > MANIFEST_SIZE_MAX) {
    const what = `blob ${descriptor.digest} of ${nameOf(place)}`;
    const reason = `its ${descriptor.size} bytes are more than ${MANIFEST_SIZE_MAX}`;
    throw new DigestCheck(descriptor, what).mismatch(reason);
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of openBlob(place, descriptor, options)) pieces.push(piece);
  return Buffer.concat(pieces);
}
