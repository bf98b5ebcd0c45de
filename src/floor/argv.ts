/**
 * The command line as the bytes it was given in.
 *
 * Node decodes arguments as UTF-8 and replaces what is not: a file named `\xff` could never be opened.
 * The kernel still has the bytes, in /proc/self/cmdline.
 */

import { readFileSync } from "node:fs";

/**
 * Returns the arguments after the script's name as strings of one byte in each code unit.
 *
 * `decoded` is what Node made of them, and what is returned (as UTF-8) where /proc is missing.
 */
export function rawArguments(decoded: readonly string[] = process.argv.slice(2)): string[] {
  if (decoded.every(isPrintableAscii)) return [...decoded];
  const raw = readCommandLine();
  const tail = raw.slice(raw.length - decoded.length);
  // A process that rewrote its title has another command line than the one it was started with.
  const same =
    tail.length === decoded.length &&
    tail.every((bytes, i) => Buffer.from(bytes, "latin1").toString("utf8") === decoded[i]);
  return same ? tail : decoded.map((text) => Buffer.from(text, "utf8").toString("latin1"));
}

function readCommandLine(): string[] {
  try {
    const text = readFileSync("/proc/self/cmdline", "latin1");
    return text.slice(0, -1).split("\0"); // each argument ends with a NUL, the last one too
  } catch {
    return [];
  }
}

function isPrintableAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}
