/**
 * Escapes of composefs-dump(5): `\\`, `\n`, `\r`, `\t`, and `\xNN` for all that is not graphic ASCII.
 */

import { hexDigit } from "../bytes/hex.ts";
import type { ByteString } from "../bytes/byte-string.ts";

/** Where a text stands decides what else must be escaped. */
export interface EscapeRules {
  /** A space may stay as it is (listings). */
  readonly keepSpace?: boolean;
  /** `=` becomes `\x3d` (xattrs). */
  readonly equals?: boolean;
  /** A text of nothing but `-` becomes `\x2d`, because a bare `-` means "none". */
  readonly loneDash?: boolean;
}

const NEEDS_ESCAPE = /[^!-~]|[\\=]/;

const SPECIAL: Readonly<Record<number, string>> = {
  0x5c: "\\\\",
  0x0a: "\\n",
  0x0d: "\\r",
  0x09: "\\t",
};

/** Returns `value` as ASCII without spaces (unless told) or line ends. */
export function escapeBytes(value: ByteString, rules: EscapeRules = {}): string {
  if (rules.loneDash === true && value === "-") return "\\x2d";
  if (!NEEDS_ESCAPE.test(value)) return value;
  let out = "";
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    const special = SPECIAL[code];
    if (special !== undefined) out += special;
    else if (mustEscape(code, rules)) out += `\\x${code.toString(16).padStart(2, "0")}`;
    else out += value[i];
  }
  return out;
}

function mustEscape(code: number, rules: EscapeRules): boolean {
  if (code === 0x3d) return rules.equals === true;
  if (code === 0x20) return rules.keepSpace !== true;
  return code < 0x21 || code > 0x7e;
}

/** The reverse of {@link escapeBytes}; the reason in words if an escape is malformed. */
export function unescapeBytes(text: string): ByteString | { readonly problem: string } {
  let at = text.indexOf("\\");
  if (at < 0) return text as ByteString;
  let out = "";
  let copied = 0;
  for (; at >= 0; at = text.indexOf("\\", at)) {
    out += text.slice(copied, at);
    const letter = text[at + 1];
    switch (letter) {
      case undefined:
        return { problem: "No character after escape" };
      case "\\":
        out += "\\";
        break;
      case "n":
        out += "\n";
        break;
      case "r":
        out += "\r";
        break;
      case "t":
        out += "\t";
        break;
      case "x": {
        if (at + 3 >= text.length) return { problem: "No hex characters after hex escape" };
        const high = hexDigit(text.charCodeAt(at + 2));
        const low = hexDigit(text.charCodeAt(at + 3));
        if (high < 0 || low < 0) return { problem: "Invalid hex characters after hex escape" };
        out += String.fromCharCode((high << 4) | low);
        at += 2;
        break;
      }
      default:
        return { problem: `Unsupported escape type ${escapeBytes(letter as ByteString)}` };
    }
    at += 2;
    copied = at;
  }
  return (out + text.slice(copied)) as ByteString;
}
