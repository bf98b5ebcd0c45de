/**
 * The text files of a policy: file contexts, substitutions of paths, and `/etc/selinux/config`.
 *
 * Source: selabel_file(5), "FILE FORMAT"; selinux_config(5). Lines are split where composefs-rs 0.9
 * splits them: at what Unicode calls white space, and text that is not UTF-8 is refused.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { byteStringFrom, bytesOf, displayText } from "../bytes/byte-string.ts";
import { decodeUtf8 } from "../bytes/utf8.ts";
import { ComposefsError } from "../errors.ts";

/** The letters of file types in file contexts. */
export const FILE_TYPE_LETTERS = "bcdpls-";

/** One rule of file contexts. */
export interface FileContextRule {
  /** The pattern, which has to match a whole path. */
  readonly pattern: string;
  /** One of {@link FILE_TYPE_LETTERS}; `undefined` for files of any type. */
  readonly type: string | undefined;
  /** The label; `undefined` where files are to have none (`<<none>>`). */
  readonly context: ByteString | undefined;
  /** File and line, for messages. */
  readonly where: string;
}

/** White space of Unicode, in UTF-8. */
const SPACE =
  "(?:[\\t-\\r ]|\\xc2[\\x85\\xa0]|\\xe1\\x9a\\x80|\\xe2\\x80[\\x80-\\x8a\\xa8\\xa9\\xaf]|\\xe2\\x81\\x9f|\\xe3\\x80\\x80)";
const SPACES = new RegExp(`${SPACE}+`);
const OUTER_SPACES = new RegExp(`^${SPACE}+|${SPACE}+$`, "g");

/** Parses a file of rules. `name` is for messages. Throws `invalid-policy`. */
export function parseFileContexts(content: Uint8Array, name: string): FileContextRule[] {
  const rules: FileContextRule[] = [];
  for (const [line, fields] of fieldsOfLines(content, name)) {
    const where = placeOf(name, line);
    const [pattern, ...rest] = fields;
    const flag = rest[0]?.startsWith("-") === true ? rest.shift() : undefined;
    const type = flag?.slice(1);
    if (type !== undefined && !(type.length === 1 && FILE_TYPE_LETTERS.includes(type))) {
      throw invalidPolicy(where, `"-${displayText(type as ByteString)}" is no file type`);
    }
    const [context, ...more] = rest;
    if (context === undefined) throw invalidPolicy(where, "context is missing");
    if (more.length > 0) throw invalidPolicy(where, "more than three fields");
    rules.push({
      pattern: pattern!,
      type,
      context: context === "<<none>>" ? undefined : (context as ByteString),
      where,
    });
  }
  return rules;
}

/** Parses a file of substitutions: path, and the path that it is labelled like. Throws `invalid-policy`. */
export function parseSubstitutions(content: Uint8Array, name: string): [ByteString, ByteString][] {
  const pairs: [ByteString, ByteString][] = [];
  for (const [line, [alias, original, ...more]] of fieldsOfLines(content, name)) {
    if (original === undefined) throw invalidPolicy(placeOf(name, line), "second path is missing");
    if (more.length > 0) throw invalidPolicy(placeOf(name, line), "more than two fields");
    pairs.push([alias as ByteString, original as ByteString]);
  }
  return pairs;
}

/** The name of the policy in `/etc/selinux/config`: the first SELINUXTYPE. Throws `invalid-policy`. */
export function parsePolicyName(content: Uint8Array, name: string): ByteString | undefined {
  for (const [line, text] of linesOf(content, name)) {
    checkUtf8(text, name, line);
    const equals = text.indexOf("=");
    if (equals === -1) continue;
    const key = text.slice(0, equals).replace(OUTER_SPACES, "");
    if (/^selinuxtype$/i.test(key)) {
      return text.slice(equals + 1).replace(OUTER_SPACES, "") as ByteString;
    }
  }
  return undefined;
}

/** The error of a policy that cannot be used. */
export function invalidPolicy(where: string, reason: string): ComposefsError {
  return new ComposefsError("invalid-policy", `Cannot use SELinux policy: ${where}: ${reason}`);
}

function placeOf(name: string, line: number): string {
  return `"${name}" line ${line}`;
}

/** Lines that are neither empty nor comments, with their numbers from 1. */
function* fieldsOfLines(content: Uint8Array, name: string): Generator<[number, string[]]> {
  for (const [line, text] of linesOf(content, name)) {
    checkUtf8(text, name, line);
    const fields = text.split(SPACES).filter((field) => field !== "");
    if (fields[0] !== undefined && !fields[0].startsWith("#")) yield [line, fields];
  }
}

function* linesOf(content: Uint8Array, name: string): Generator<[number, string]> {
  if (content.length > MAX_SIZE) throw invalidPolicy(`"${name}"`, "larger than 16 MiB");
  const text = byteStringFrom(content);
  let line = 0;
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf("\n", at);
    const end = newline === -1 ? text.length : newline;
    yield [++line, text.slice(at, end)];
    at = end + 1;
  }
}

/** The files of distributions have half a megabyte. */
export const MAX_SIZE: number = 16 * 1024 * 1024;

function checkUtf8(text: string, name: string, line: number): void {
  if (!/[^\0-\x7f]/.test(text) || decodeUtf8(bytesOf(text as ByteString)) !== undefined) return;
  throw invalidPolicy(placeOf(name, line), "not UTF-8");
}
