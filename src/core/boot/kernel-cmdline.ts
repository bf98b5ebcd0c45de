/**
 * The kernel's command line, as far as it tells which image to boot.
 *
 * `composefs.digest=v1-HASH-12:DIGEST` (`?` behind `=`: go on where it cannot be checked), of which one for
 * each hash may stand there; else `composefs=DIGEST`, the older one.
 *
 * Source: composefs-rs 0.9, composefs-boot, module cmdline; Linux Documentation/admin-guide/kernel-parameters.rst.
 */

import { ComposefsError } from "../errors.ts";
import { DIGEST_SIZE, parseFsVerityDigest } from "../fsverity/digest.ts";
import type { FsVerityAlgorithm, FsVerityDigest } from "../fsverity/digest.ts";

/** The arguments: they end at white space outside of double quotes. An argument may be empty. */
export function splitKernelCmdline(text: string): string[] {
  const args: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"') isQuoted = !isQuoted;
    if (isQuoted || !/[\t\n\f\r ]/.test(text[at]!)) continue;
    args.push(text.slice(start, at));
    start = at + 1;
  }
  args.push(text.slice(start));
  return args;
}

/** The digest of the image that is to be booted; none where the command line does not say. */
export function composefsDigestIn(
  text: string,
  algorithm: FsVerityAlgorithm,
): FsVerityDigest | undefined {
  const args = splitKernelCmdline(text);
  for (const arg of args) {
    const value = /^composefs\.digest=\??(.*)$/s.exec(arg)?.[1];
    if (value === undefined) continue;
    const parts = /^v[12]-(sha256|sha512)-12:(.*)$/s.exec(value);
    if (parts === null) throw malformed(arg);
    if (parts[1] === algorithm) return digestIn(arg, parts[2]!, algorithm);
  }
  for (const arg of args) {
    const value = /^composefs=\??(.*)$/s.exec(arg)?.[1];
    if (value !== undefined) return digestIn(arg, value, algorithm);
  }
  return undefined;
}

function digestIn(arg: string, value: string, algorithm: FsVerityAlgorithm): FsVerityDigest {
  if (value.length !== 2 * DIGEST_SIZE[algorithm]) throw malformed(arg);
  return parseFsVerityDigest(value);
}

function malformed(arg: string): ComposefsError {
  const message = `Cannot read kernel command line: "${arg.replace(/[^ -~]/g, "?")}" names no image`;
  return new ComposefsError("invalid-digest", message);
}
