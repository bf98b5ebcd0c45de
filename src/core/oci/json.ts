/**
 * JSON documents of OCI, value by value: each is checked where it is read, and a mistake is told with
 * its place in the document, as `layers[2].size`.
 *
 * `null` counts as absent, as it does for everything written in Go, which writes empty lists so.
 */

import { decodeUtf8 } from "../bytes/utf8.ts";
import { ComposefsError } from "../errors.ts";

/** No document is larger: registries refuse manifests over 4 MiB, layouts may list many images. */
const OCI_DOCUMENT_SIZE_MAX = 1 << 24;
/** Most characters of a text that has no limit of its own: an `Env` or `Cmd` of some length. */
const TEXT_LENGTH_MAX = 1 << 20;
/** Characters of a wrong value that a message shows. */
const SHOWN_MAX = 80;

/** A value in a document. */
export class JsonValue {
  readonly #what: string;
  readonly #path: string;
  readonly #value: unknown;

  constructor(what: string, path: string, value: unknown) {
    this.#what = what;
    this.#path = path;
    this.#value = value;
  }

  /** A field that may be missing. Throws where this is no object. */
  optional(name: string): JsonValue | undefined {
    const object = this.#object();
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    return value === undefined || value === null ? undefined : this.#field(name, value);
  }

  /** A field that has to be there. */
  field(name: string): JsonValue {
    const found = this.optional(name);
    if (found === undefined) throw this.#field(name, undefined).invalid("is missing");
    return found;
  }

  /** The values of a list that may be missing. */
  list(name: string, most: number): JsonValue[] {
    return this.optional(name)?.items(most) ?? [];
  }

  /** The values of this list. */
  items(most: number): JsonValue[] {
    const values = this.#value;
    if (!Array.isArray(values)) throw this.invalid("is not a list");
    if (values.length > most) {
      throw this.invalid(`has ${values.length} entries, more than ${most}`);
    }
    return values.map((value, i) => new JsonValue(this.#what, `${this.#path}[${i}]`, value));
  }

  /** Names and texts of an object that may be missing; it has no prototype. */
  texts(name: string, most: number): Readonly<Record<string, string>> {
    const texts = Object.create(null) as Record<string, string>;
    const found = this.optional(name);
    if (found === undefined) return texts;
    const keys = Object.keys(found.#object());
    if (keys.length > most) throw found.invalid(`has ${keys.length} entries, more than ${most}`);
    for (const key of keys) {
      const value = found.optional(key);
      if (value !== undefined) texts[key] = value.text();
    }
    return texts;
  }

  text(maxLength = TEXT_LENGTH_MAX): string {
    if (typeof this.#value !== "string") throw this.invalid("is not a text");
    if (this.#value.length > maxLength) throw this.invalid(`is longer than ${maxLength}`);
    return this.#value;
  }

  /** A number of bytes, or of anything else that is counted. */
  size(): number {
    const value = this.#value;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw this.invalid(`${shown(value)} is not a size`);
    }
    return value;
  }

  /** The error that says what is wrong here. */
  invalid(reason: string, cause?: unknown): ComposefsError {
    const place = this.#path === "" ? "" : `${this.#path} `;
    return invalidDocument(this.#what, `${place}${reason}`, cause);
  }

  #object(): Readonly<Record<string, unknown>> {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.invalid(this.#path === "" ? "it is not an object" : "is not an object");
    }
    return value as Record<string, unknown>;
  }

  #field(name: string, value: unknown): JsonValue {
    const shownName = /^[\w.-]{1,80}$/.test(name) ? name : shown(name);
    return new JsonValue(
      this.#what,
      this.#path === "" ? shownName : `${this.#path}.${shownName}`,
      value,
    );
  }
}

/** Parses a document. `what` names it in messages: `OCI manifest`. Throws `invalid-manifest`. */
export function parseJsonDocument(what: string, bytes: Uint8Array): JsonValue {
  if (bytes.length > OCI_DOCUMENT_SIZE_MAX) {
    throw invalidDocument(what, `it has ${bytes.length} bytes, more than ${OCI_DOCUMENT_SIZE_MAX}`);
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) throw invalidDocument(what, "it is not UTF-8");
  try {
    return new JsonValue(what, "", JSON.parse(text));
  } catch (cause) {
    throw invalidDocument(what, "it is not JSON", cause);
  }
}

/** A wrong value, short and without anything that a terminal would obey. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  const short = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
  return short.replace(/[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "?");
}

function invalidDocument(what: string, reason: string, cause?: unknown): ComposefsError {
  const options = cause === undefined ? {} : { cause };
  return new ComposefsError("invalid-manifest", `Cannot read ${what}: ${reason}`, options);
}
