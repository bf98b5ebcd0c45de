/** User names and passwords, kept where no error message, log line or inspection shows them. */

import { inspect } from "node:util";

/** What proves to a registry who asks. */
export class Credentials {
  readonly #username: string;
  readonly #password: string;
  readonly #identityToken: string | undefined;
  /** Where they were found, for people: a file, a helper. */
  readonly origin: string;

  constructor(
    origin: string,
    secrets: {
      readonly username: string;
      readonly password: string;
      readonly identityToken?: string | undefined;
    },
  ) {
    this.origin = origin;
    this.#username = secrets.username;
    this.#password = secrets.password;
    this.#identityToken = secrets.identityToken;
  }

  get username(): string {
    return this.#username;
  }

  /** To be traded for access tokens, instead of a password. */
  revealIdentityToken(): string | undefined {
    return this.#identityToken;
  }

  /** The value of an `Authorization` header. */
  revealBasic(): string {
    const pair = `${this.#username}:${this.#password}`;
    return `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
  }

  toString(): string {
    return `credentials of ${this.origin}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
