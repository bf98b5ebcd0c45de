/**
 * `Content-Range`: which part of a whole an answer holds.
 *
 * Source: RFC 9110, 14.4.
 */

/** A part of a whole. */
export interface ContentRange {
  readonly offset: number;
  readonly length: number;
  /** Bytes of the whole; `undefined` where the server does not know. */
  readonly total: number | undefined;
}

/** Parses `bytes 0-99/1234`; `undefined` for anything else. */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const match = /^bytes[ \t]+(\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/i.exec(value?.trim() ?? "");
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2]);
  const total = match[3] === "*" ? undefined : Number(match[3]);
  if (!Number.isSafeInteger(last) || first > last) return undefined;
  if (total !== undefined && (!Number.isSafeInteger(total) || last >= total)) return undefined;
  return { offset: first, length: last - first + 1, total };
}
