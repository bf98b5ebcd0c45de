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
import type { AtomicFile } from "../../floor/atomic-file.ts";
import { reasonOf } from "../output/reason.ts";
import type { Io } from "../output/io.ts";
import { writeAll } from "../output/output.ts";

/** Takes one image. What fails is `output-failed`. */
export interface ImageOutput {
  /** May begin to write the bytes of `image` before `end`, which stay as they are, while it is made. */
  begin(image: Uint8Array, end: number): void;
  /** Writes what is not written yet: then all of the image is there. */
  finish(image: Uint8Array): Promise<void>;
  /** Ends it in any case, and removes what was begun if there was no `finish`. */
  discard(): Promise<void>;
}

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
  return direct ? new OutputAtOnce((image) => writeDirectly(path, image)) : new FileOutput(path);
}

/** What has to be written from the beginning to the end. */
class OutputAtOnce implements ImageOutput {
  readonly #write: (image: Uint8Array) => void;

  constructor(write: (image: Uint8Array) => void) {
    this.#write = write;
  }

  begin(): void {}

  async finish(image: Uint8Array): Promise<void> {
    this.#write(image);
  }

  async discard(): Promise<void> {}
}

/** A file that has its name when all of it is there. */
class FileOutput implements ImageOutput {
  readonly #path: ByteString;
  #file: AtomicFile | undefined;
  /** Bytes that are written, or about to be. */
  #begun = 0;

  constructor(path: ByteString) {
    this.#path = path;
  }

  begin(image: Uint8Array, end: number): void {
    try {
      this.#file ??= createAtomicFile(this.#path);
      this.#file.writeBehind(image.subarray(this.#begun, end));
      this.#begun = end;
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }

  async finish(image: Uint8Array): Promise<void> {
    try {
      this.#file ??= createAtomicFile(this.#path);
      await this.#file.settle();
      this.#file.write(image.subarray(this.#begun));
      this.#file.commit();
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }

  async discard(): Promise<void> {
    // A failure was told by `finish`, or something else went wrong before it.
    await this.#file?.settle().catch(() => {});
    this.#file?.discard();
  }
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
  return new OutputAtOnce((image) => io.out.bytes(image));
}

function writeDirectly(path: ByteString, image: Uint8Array): void {
  try {
    const fd = openSync(Buffer.from(path, "latin1"), "w");
    try {
      writeAll(fd, image);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw cannotWrite(path, error);
  }
}
