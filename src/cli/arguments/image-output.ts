/**
 * Where an image goes: standard output, a file that appears whole or not at all, or whatever else
 * the name stands for.
 */

import { closeSync, openSync, statSync } from "node:fs";
import type { Stats } from "node:fs";

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { createAtomicFile } from "../../floor/atomic-file.ts";
import { reasonOf } from "../output/reason.ts";
import type { Io } from "../output/io.ts";
import { writeAll } from "../output/output.ts";

/** Writes all of an image, or throws `output-failed`. To be called once. */
export type ImageOutput = (image: Uint8Array) => void;

/** These names stand for open files: a new file under such a name is not what is meant. */
const DESCRIPTOR_PATH = /^\/(proc|dev)\//;

/**
 * Checks where an image is to go, before it is made. `-` is standard output unless told. Throws
 * `output-failed` for what can never take one: a terminal, a directory.
 */
export function openImageOutput(
  path: ByteString,
  io: Io,
  options: { readonly dashIsStdout?: boolean } = {},
): ImageOutput {
  if (path === "-" && options.dashIsStdout !== false) return standardOutput(io);
  const found = statTarget(path);
  if (found?.isDirectory() === true) {
    throw new ComposefsError(
      "output-failed",
      `Cannot write image "${displayText(path)}": Is a directory`,
      {
        hint: "give the name of a file",
      },
    );
  }
  const direct = found !== undefined && (!found.isFile() || DESCRIPTOR_PATH.test(path));
  return (image) => {
    try {
      if (direct) writeDirectly(path, image);
      else writeAtomically(path, image);
    } catch (error) {
      throw cannotWrite(path, error);
    }
  };
}

function statTarget(path: ByteString): Stats | undefined {
  try {
    return statSync(Buffer.from(path, "latin1"), { throwIfNoEntry: false });
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function cannotWrite(path: ByteString, error: unknown): ComposefsError {
  const message = `Cannot write image "${displayText(path)}": ${reasonOf(error)}`;
  return new ComposefsError("output-failed", message, { cause: error });
}

function standardOutput(io: Io): ImageOutput {
  if (io.out.isTerminal) {
    throw new ComposefsError("output-failed", "Cannot write image: standard output is a terminal", {
      hint: "redirect it to a file or a pipe",
    });
  }
  return (image) => io.out.bytes(image);
}

function writeAtomically(path: ByteString, image: Uint8Array): void {
  const file = createAtomicFile(path);
  try {
    file.write(image);
    file.commit();
  } finally {
    file.discard();
  }
}

function writeDirectly(path: ByteString, image: Uint8Array): void {
  const fd = openSync(Buffer.from(path, "latin1"), "w");
  try {
    writeAll(fd, image);
  } finally {
    closeSync(fd);
  }
}
