/**
 * PAX records: `LENGTH KEY=VALUE\n`, the length counting the whole record.
 *
 * Values stay bytes: a path may hold any byte, an xattr newlines and NULs. `hdrcharset` changes nothing
 * for that reason. Source: POSIX.1-2017 pax, "pax Extended Header".
 */

import { byteStringFrom, bytesOf } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import type { Timestamp } from "../tree/node.ts";
import type { Refuse } from "./header.ts";

/** One record. The value aliases the extension that it was read from. */
export interface PaxRecord {
  readonly key: ByteString;
  readonly value: Uint8Array;
}

const NEWLINE = 0x0a;
const SPACE = 0x20;
const ZERO = 0x30;
const EQUALS = 0x3d;

/** Parses the content of an `x` or `g` header; throws what `refuse` makes. */
export function parsePaxRecords(bytes: Uint8Array, refuse: Refuse): PaxRecord[] {
  const records: PaxRecord[] = [];
  let start = 0;
  while (start < bytes.length) {
    let at = start;
    let length = 0;
    while (at < bytes.length && isDigit(bytes[at]!) && length <= bytes.length) {
      length = length * 10 + (bytes[at++]! - ZERO);
    }
    const end = start + length;
    if (at === start || bytes[at] !== SPACE || end > bytes.length || end <= at + 1) {
      throw refuse("length of a PAX record is wrong");
    }
    if (bytes[end - 1] !== NEWLINE) throw refuse("PAX record does not end in a newline");
    const equals = bytes.subarray(at + 1, end - 1).indexOf(EQUALS);
    if (equals < 1) throw refuse("PAX record without a key");
    const valueAt = at + 1 + equals + 1;
    records.push({
      key: byteStringFrom(bytes.subarray(at + 1, valueAt - 1)),
      value: bytes.subarray(valueAt, end - 1),
    });
    start = end;
  }
  return records;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}

/** Formats one record. */
export function formatPaxRecord(key: ByteString, value: ByteString): Uint8Array {
  const rest = 1 + key.length + 1 + value.length + 1;
  let length = rest + 1;
  // The length counts its own digits.
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return bytesOf(`${length} ${key}=${value}\n` as ByteString);
}

/** Parses decimal digits up to 2^53 - 1; `undefined` for anything else. */
export function parsePaxNumber(value: Uint8Array): number | undefined {
  if (value.length === 0 || !value.every(isDigit)) return undefined;
  const number = Number(byteStringFrom(value));
  return Number.isSafeInteger(number) ? number : undefined;
}

/**
 * Parses `[-]SECONDS[.FRACTION]`; digits below the nanosecond round down. `undefined` for anything
 * else, and for what does not fit 64 bits.
 */
export function parsePaxTime(value: Uint8Array): Timestamp | undefined {
  if (value.length > 64) return undefined;
  const match = /^(-?)(\d*)(?:\.(\d*))?$/.exec(byteStringFrom(value));
  const [, sign, seconds = "", fraction = ""] = match ?? [];
  if (match === null || (seconds === "" && fraction === "")) return undefined;
  const whole = BigInt(seconds === "" ? 0 : seconds);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  const isCut = /[1-9]/.test(fraction.slice(9));
  const time =
    sign === "" ? { sec: whole, nsec: nanoseconds } : negate(whole, nanoseconds + Number(isCut));
  return BigInt.asIntN(64, time.sec) === time.sec ? time : undefined;
}

function negate(seconds: bigint, nanoseconds: number): Timestamp {
  return nanoseconds === 0
    ? { sec: -seconds, nsec: 0 }
    : { sec: -seconds - 1n, nsec: 1_000_000_000 - nanoseconds };
}

/** Formats a time as `parsePaxTime` reads it, without zeros at the end. */
export function formatPaxTime({ sec, nsec }: Timestamp): ByteString {
  if (nsec === 0) return String(sec) as ByteString;
  const isNegative = sec < 0n;
  const whole = isNegative ? -sec - 1n : sec;
  const fraction = isNegative ? 1_000_000_000 - nsec : nsec;
  const digits = String(fraction).padStart(9, "0").replace(/0+$/, "");
  return `${isNegative ? "-" : ""}${whole}.${digits}` as ByteString;
}
