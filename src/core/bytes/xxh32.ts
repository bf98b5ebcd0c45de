/**
 * xxHash32, which EROFS uses for the xattr name filter.
 *
 * Source: the xxHash specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md, version 0.1.1).
 */

import type { ByteString } from "./byte-string.ts";

const PRIME32_1 = 0x9e3779b1;
const PRIME32_2 = 0x85ebca77;
const PRIME32_3 = 0xc2b2ae3d;
const PRIME32_4 = 0x27d4eb2f;
const PRIME32_5 = 0x165667b1;

/** Returns the 32-bit hash of `input` under `seed`, unsigned. */
export function xxh32(input: ByteString, seed: number): number {
  const length = input.length;
  let at = 0;
  let hash: number;
  if (length >= 16) {
    let a = (seed + PRIME32_1 + PRIME32_2) | 0;
    let b = (seed + PRIME32_2) | 0;
    let c = seed | 0;
    let d = (seed - PRIME32_1) | 0;
    for (; at + 16 <= length; at += 16) {
      a = round(a, lane(input, at));
      b = round(b, lane(input, at + 4));
      c = round(c, lane(input, at + 8));
      d = round(d, lane(input, at + 12));
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0;
  } else {
    hash = (seed + PRIME32_5) | 0;
  }
  hash = (hash + length) | 0;
  for (; at + 4 <= length; at += 4) {
    hash = (hash + Math.imul(lane(input, at), PRIME32_3)) | 0;
    hash = Math.imul(rotate(hash, 17), PRIME32_4);
  }
  for (; at < length; at++) {
    hash = (hash + Math.imul(input.charCodeAt(at), PRIME32_5)) | 0;
    hash = Math.imul(rotate(hash, 11), PRIME32_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME32_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME32_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function round(accumulator: number, input: number): number {
  return Math.imul(rotate((accumulator + Math.imul(input, PRIME32_2)) | 0, 13), PRIME32_1);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function lane(input: string, at: number): number {
  return (
    input.charCodeAt(at) |
    (input.charCodeAt(at + 1) << 8) |
    (input.charCodeAt(at + 2) << 16) |
    (input.charCodeAt(at + 3) << 24)
  );
}
