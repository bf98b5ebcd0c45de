/**
 * A repository of a registry as the target of an image.
 *
 * Source: OCI distribution specification 1.1, "Push".
 */

import { ComposefsError } from "../../core/errors.ts";
import type { Descriptor } from "../../core/oci/descriptor.ts";
import { MANIFEST_SIZE_MAX } from "../../core/oci/manifest.ts";
import type { OciDigest } from "../../core/oci/oci-digest.ts";
import {
  DEFAULT_TAG,
  formatImageReference,
  parseImageReference,
} from "../../core/oci/reference.ts";
import type { ImageTarget } from "../image-source.ts";
import { digestOf, nameOf, toldDigest } from "./manifests.ts";
import type { Repository } from "./manifests.ts";
import { clientFor, surroundingsOf } from "./options.ts";
import type { RegistryOptions } from "./options.ts";
import { noteReferrer, readSubject } from "./note-referrer.ts";
import { pushEndpoint, readRegistries } from "./config/registries.ts";
import { pushScope } from "./auth/scope.ts";
import { uploadBlob } from "./upload.ts";
import type { UploadOptions } from "./upload.ts";

/** Options of {@link openRegistryTarget}. */
export interface RegistryTargetOptions extends RegistryOptions, UploadOptions {}

/**
 * Opens a repository to push to. `close` gives the tag of the name, or `latest`, to the last manifest
 * that was put without one and is not about another, so that nobody sees half of an image. A name
 * without a registry is one of docker.io: nothing is pushed to where a search leads. Throws `invalid-reference`, `invalid-config`, `registry-denied` for a blocked registry.
 */
export function openRegistryTarget(
  text: string,
  options: RegistryTargetOptions = {},
): RegistryTarget {
  const reference = parseImageReference(text);
  if (reference.digest !== undefined) {
    throw new ComposefsError(
      "invalid-reference",
      `Cannot push to "${text}": what is pushed decides the digest`,
      { hint: "name a tag, or nothing" },
    );
  }
  const registries = readRegistries(surroundingsOf(options), options.registriesConf);
  const endpoint = pushEndpoint(registries, reference);
  const client = clientFor(endpoint, registries, options);
  const place = { client, repository: reference.repository };
  const name = `docker://${formatImageReference({ ...reference, tag: reference.tag ?? DEFAULT_TAG })}`;
  return new RegistryTarget(name, place, reference.tag, options);
}

/** See {@link openRegistryTarget}. */
export class RegistryTarget implements ImageTarget {
  readonly name: string;
  /** As the name says it; `latest` stands in for it only at the end, and not for what is about another. */
  readonly tag: string | undefined;
  readonly #place: Repository;
  readonly #options: UploadOptions;
  /** To be tagged in the end. */
  #last: { readonly bytes: Uint8Array; readonly mediaType: string } | undefined;

  constructor(name: string, place: Repository, tag: string | undefined, options: UploadOptions) {
    this.name = name;
    this.#place = place;
    this.tag = tag;
    this.#options = options;
  }

  async hasBlob({ digest, size }: Descriptor): Promise<boolean> {
    const { client, repository } = this.#place;
    const answer = await client.metadata({
      method: "HEAD",
      path: `/v2/${repository}/blobs/${digest}`,
      scopes: [pushScope(repository)],
    });
    if (answer.status === 404) return false;
    if (answer.status !== 200) {
      throw await client.failure(`find blob ${digest} of ${nameOf(this.#place)}`, answer);
    }
    const length = answer.headers["content-length"];
    return length === undefined || Number(length) === size;
  }

  async putBlob(descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void> {
    await uploadBlob(this.#place, descriptor, content, this.#options);
  }

  async putManifest(bytes: Uint8Array, mediaType: string, tag?: string): Promise<OciDigest> {
    const digest = digestOf("sha256", bytes);
    const { client, repository } = this.#place;
    const what = `manifest ${tag ?? digest} to ${nameOf(this.#place)}`;
    if (bytes.length > MANIFEST_SIZE_MAX) {
      const reason = `it has ${bytes.length} bytes, more than ${MANIFEST_SIZE_MAX}`;
      throw new ComposefsError("invalid-manifest", `Cannot send ${what}: ${reason}`);
    }
    const answer = await client.metadata({
      method: "PUT",
      path: `/v2/${repository}/manifests/${tag ?? digest}`,
      headers: { "content-type": mediaType },
      body: { kind: "bytes", bytes },
      scopes: [pushScope(repository)],
    });
    if (answer.status !== 201) throw await client.failure(`send ${what}`, answer);
    const told = toldDigest(answer.headers, what);
    if (told?.startsWith("sha256:") === true && told !== digest) {
      throw new ComposefsError(
        "content-mismatch",
        `Cannot send ${what}: the registry stored ${told} instead of ${digest}`,
      );
    }
    const subject = readSubject(bytes, mediaType);
    if (subject !== undefined && answer.headers["oci-subject"] === undefined) {
      await noteReferrer(this.#place, bytes, { mediaType, digest });
    }
    if (tag === undefined && subject === undefined) this.#last = { bytes, mediaType };
    return digest;
  }

  async close(): Promise<void> {
    const last = this.#last;
    this.#last = undefined;
    try {
      if (last === undefined) return;
      await this.putManifest(last.bytes, last.mediaType, this.tag ?? DEFAULT_TAG);
    } finally {
      await this.discard();
    }
  }

  async discard(): Promise<void> {
    this.#place.client.close();
    await Promise.resolve();
  }
}
