/** UTF-8 to text, strictly: for formats that are text by their specification. */

import { byteStringFrom } from "./byte-string.ts";

/** Every byte that is not ASCII, and the one character that means something to the decoder below. */
const TO_ESCAPE = /[^\0-\x24\x26-\x7f]/g;

/** Returns the text, or `undefined` where the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  // By way of what the language has: `TextDecoder` belongs to the host.
  const escaped = byteStringFrom(bytes).replace(
    TO_ESCAPE,
    (c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  try {
    return decodeURIComponent(escaped);
  } catch {
    return undefined;
  }
}
