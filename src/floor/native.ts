/**
 * The C library, loaded once: how every other file of this room calls the kernel.
 *
 * koffi calls C functions without a compiler at installation; calls are synchronous, which is right
 * for system calls that return in microseconds. Functions that may block run in worker threads.
 */

import koffi from "koffi";

type Library = ReturnType<typeof koffi.load>;
/** A bound C function: call it with JavaScript values. */
export type NativeFunction = ReturnType<Library["func"]>;

let libc: Library | undefined;

/** Binds a function of the C library by its C prototype, for example `"int fsync(int fd)"`. */
export function bindLibc(prototype: string): NativeFunction {
  libc ??= loadLibc();
  return libc.func(prototype);
}

/** The `errno` that the last call on this thread left. */
export function lastErrno(): number {
  return koffi.errno();
}

function loadLibc(): Library {
  try {
    return koffi.load("libc.so.6");
  } catch {
    // musl has one library, under a name with the architecture in it.
    const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
    return koffi.load(`libc.musl-${machine}.so.1`);
  }
}
