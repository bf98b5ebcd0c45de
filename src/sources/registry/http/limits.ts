/** What bounds a registry client: time, tries, sizes, connections. */

/** Milliseconds, unless said otherwise. Every one can be set by the caller. */
export interface Limits {
  /** Until a connection is made: name, TCP and TLS. */
  readonly connect: number;
  /** From the end of a request to the headers of its answer. */
  readonly headers: number;
  /** How long a transfer may take for {@link STALL_BYTES} bytes, while somebody waits for them. */
  readonly stall: number;
  /** For one small answer (a manifest, a token, a list), connection included. */
  readonly metadata: number;
  /** How often a request is sent at most, the first time counted. */
  readonly attempts: number;
  /** What the first wait before another try is about; it doubles each time. */
  readonly backoff: number;
  /** No wait is longer; a server that asks for more is given up. */
  readonly maxWait: number;
  /** Connections to one server at once. */
  readonly connections: number;
}

/** A transfer that brings fewer bytes than this in the time of `stall` counts as cut. */
export const STALL_BYTES = 1024;

/** No token, list or error message is larger. */
export const ANSWER_MAX = 4 * 1024 * 1024;

/** No redirects beyond these. */
export const REDIRECTS_MAX = 5;

/** What holds unless told. */
export const DEFAULT_LIMITS: Limits = {
  connect: 30_000,
  headers: 60_000,
  stall: 60_000,
  metadata: 120_000,
  attempts: 5,
  backoff: 500,
  maxWait: 60_000,
  connections: 8,
};
