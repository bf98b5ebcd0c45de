/** sha256 as the host has it; what `createHash("sha256")` of Node returns is one. */
export interface Sha256 {
  update(bytes: Uint8Array): unknown;
  /** Of all bytes, in lower-case hexadecimal; after it there is nothing more to update. */
  digest(encoding: "hex"): string;
}

/** Starts a new hash. */
export type NewSha256 = () => Sha256;
