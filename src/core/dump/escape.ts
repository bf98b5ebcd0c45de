/**
 * Escapes of composefs-dump(5): `\\`, `\n`, `\r`, `\t`, and `\xNN` for all that is not graphic ASCII.
 */

import { byteStringFrom, sliceByteString } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { hexDigit } from "../bytes/hex.ts";
import { TextWriter } from "../bytes/text-writer.ts";

/** Where a text stands decides what else must be escaped. */
export interface EscapeRules {
  /** A space may stay as it is (listings). */
  readonly keepSpace?: boolean;
  /** `=` becomes `\x3d` (xattrs). */
  readonly equals?: boolean;
  /** A text of nothing but `-` becomes `\x2d`, because a bare `-` means "none". */
  readonly loneDash?: boolean;
}

const SPECIAL: Readonly<Record<number, string>> = {
  0x5c: "\\\\",
  0x0a: "\\n",
  0x0d: "\\r",
  0x09: "\\t",
};

const SPACE = 0x20;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/** For each rule, a 1 for every byte that stays as it is. */
const PLAIN = plainBytes();
const PLAIN_OR_SPACE = plainBytes();
PLAIN_OR_SPACE[SPACE] = 1;
const PLAIN_NOT_EQUALS = plainBytes();
PLAIN_NOT_EQUALS[EQUALS] = 0;

function plainBytes(): Uint8Array {
  const plain = new Uint8Array(256).fill(1, 0x21, 0x7f);
  plain[BACKSLASH] = 0;
  return plain;
}

/** Writes `value` as ASCII without spaces (unless told) or line ends. */
export function writeEscaped(out: TextWriter, value: ByteString, rules: EscapeRules = {}): void {
  if (rules.loneDash === true && value === "-") return out.text("\\x2d");
  const plain =
    rules.equals === true ? PLAIN_NOT_EQUALS : rules.keepSpace === true ? PLAIN_OR_SPACE : PLAIN;
  let at = out.textWhile(value, 0, plain);
  while (at < value.length) {
    const code = value.charCodeAt(at);
    out.text(SPECIAL[code] ?? `\\x${code.toString(16).padStart(2, "0")}`);
    at = out.textWhile(value, at + 1, plain);
  }
}

/** Returns what {@link writeEscaped} writes. */
export function escapeBytes(value: ByteString, rules: EscapeRules = {}): string {
  writeEscaped(scratch, value, rules);
  return byteStringFrom(scratch.take());
}

/** Empty between calls. */
const scratch = new TextWriter();

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

/** Names and paths are C strings: an escaped NUL ends them. */
export function untilNul(text: ByteString): ByteString {
  const nul = text.indexOf("\0");
  return nul < 0 ? text : sliceByteString(text, 0, nul);
}
