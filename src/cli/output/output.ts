/**
 * Standard output and standard error: buffered, synchronous, and quiet when the reader goes away.
 *
 * Node's own `process.stdout` costs milliseconds at start-up and loses data at `process.exit` on a
 * pipe; a command line tool needs neither.
 */

import { fstatSync, writeSync } from "node:fs";
import type { styleText } from "node:util";

import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { reasonOf } from "./reason.ts";

/** Thrown when nobody reads standard output any more. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";
}

/** Bytes that are collected before a write: as large as a pipe. */
const BUFFER_SIZE = 65536;

/** A place to write to, of which the caller says when all of it must be out. */
export class Output {
  readonly #sink: (chunk: Uint8Array) => void;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_SIZE);
  #filled = 0;
  /** Whether a person reads along. */
  readonly isTerminal: boolean;
  readonly #colours: boolean;

  /** `sink` gets each chunk once and copies what it keeps. */
  constructor(
    sink: (chunk: Uint8Array) => void,
    options: { readonly isTerminal?: boolean; readonly colours?: boolean } = {},
  ) {
    this.#sink = sink;
    this.isTerminal = options.isTerminal ?? false;
    this.#colours = options.colours ?? false;
  }

  /** Writes a text, as UTF-8. */
  text(value: string): void {
    this.bytes(Buffer.from(value, "utf8"));
  }

  /** Writes a byte string: the bytes as they are. */
  byteString(value: ByteString): void {
    if (value.length > this.#room()) this.flush();
    if (value.length > BUFFER_SIZE) return this.bytes(Buffer.from(value, "latin1"));
    this.#filled += this.#buffer.write(value, this.#filled, "latin1");
  }

  /** Writes bytes; nothing is kept of `value` after the call. */
  bytes(value: Uint8Array): void {
    if (value.length > this.#room()) this.flush();
    if (value.length > BUFFER_SIZE) return this.#sink(value);
    this.#buffer.set(value, this.#filled);
    this.#filled += value.length;
  }

  /** Hands out what waits. */
  flush(): void {
    if (this.#filled === 0) return;
    const filled = this.#filled;
    this.#filled = 0;
    this.#sink(this.#buffer.subarray(0, filled));
  }

  /** The text in a style where colours are wanted, else the text. */
  style(format: Parameters<typeof styleText>[0], text: string): string {
    if (!this.#colours) return text;
    // Decided above: Node 22 and newer would ask standard output once more, and see none under CI.
    const options = { validateStream: false };
    return process.getBuiltinModule("node:util").styleText(format, text, options);
  }

  #room(): number {
    return BUFFER_SIZE - this.#filled;
  }
}

/** Opens an inherited descriptor (1 or 2) as an output. */
export function openOutput(fd: number, env: NodeJS.ProcessEnv): Output {
  const isTerminal = isTerminalFd(fd);
  const colours = isTerminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  const sink = (chunk: Uint8Array) => {
    try {
      writeAll(fd, chunk);
    } catch (error) {
      if (error instanceof BrokenPipe) throw error;
      const name = fd === 1 ? "standard output" : "standard error";
      const message = `Cannot write to ${name}: ${reasonOf(error)}`;
      throw new ComposefsError("output-failed", message, { cause: error });
    }
  };
  return new Output(sink, { isTerminal, colours });
}

/** Asks node:tty only about what can be a terminal: loading it takes 2 of the 50 ms of a start. */
function isTerminalFd(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice() && process.getBuiltinModule("node:tty").isatty(fd);
  } catch {
    return false; // closed
  }
}

/** Writes all of `chunk` to a descriptor. Throws {@link BrokenPipe}, or the error of the system. */
export function writeAll(fd: number, chunk: Uint8Array): void {
  let at = 0;
  while (at < chunk.length) {
    try {
      at += writeSync(fd, chunk, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") throw new BrokenPipe();
      if (code !== "EAGAIN") throw error;
      // Another process has made the shared pipe non-blocking, and it is full.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}
