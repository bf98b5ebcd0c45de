/**
 * What this code base throws on purpose.
 *
 * Every error has a `code` out of a closed set, so that callers decide by code and never by text.
 * The text says what could not be done, to what, and why; `hint` says what to try.
 * A `RangeError` or `TypeError` that reaches a caller is a bug of ours, never an answer to bad input.
 */

/** Codes of {@link ComposefsError}. Documented in `docs/errors.md`. */
export type ErrorCode =
  // core
  | "invalid-digest" //          text or bytes that are no digest
  | "invalid-tree" //            a tree that cannot be written as an EROFS image
  | "dump-syntax" //             a composefs-dump(5) line that cannot be read
  | "not-erofs" //               the EROFS magic is missing
  | "not-composefs" //           EROFS, but without the composefs header
  | "corrupt-image" //           a composefs image that contradicts itself
  | "unsupported-image" //       a valid image that uses what composefs never writes
  | "image-too-large" //         an image over the limits of the format
  | "corrupt-tar" //             a tar archive that ends early, contradicts itself, or that readers disagree on
  | "unsupported-tar" //         a valid tar archive with an entry that no image can hold
  | "tar-limit" //               a tar archive over one of the limits that the caller set
  | "corrupt-stream" //          a splitstream that contradicts itself
  | "invalid-layer" //           an OCI layer that cannot be merged, and why
  | "layer-limit" //             an OCI layer with more files than the caller allows
  | "incomplete-rootfs" //       a tree without the directories that a canonical form needs
  | "invalid-reference" //       the name of an OCI image that cannot be parsed
  | "invalid-manifest" //        an OCI manifest, index or config that cannot be used
  | "no-matching-platform" //    an OCI index without an image for the platform
  | "corrupt-chunked" //         the table of contents of a zstd:chunked layer that contradicts itself
  | "invalid-signature" //       a seal or signature that cannot be parsed, does not hold, or comes from nobody trusted
  | "invalid-policy" //          SELinux file contexts that cannot be read
  // floor
  | "syscall-failed" //          see SyscallError: call, path, errno
  | "unsupported-platform" //    not Linux, or an architecture without a system call table
  // mount
  | "invalid-mount-options" //   options that contradict each other
  | "verity-missing" //          fs-verity is required, and an image, object or repository has none
  | "verity-mismatch" //         a digest was asked for and the image has another one
  | "mount-failed" //            the kernel refused
  // store
  | "repository-missing" //      no repository where one was expected
  | "repository-invalid" //      a repository whose metadata cannot be used
  | "repository-conflict" //     a repository is there already, and is another one than was asked for
  | "repository-busy" //         another process holds the lock
  | "not-in-repository" //       no such image, stream, object or ref
  | "object-missing" //          an object that something refers to is not in the repository
  | "object-corrupt" //          an object whose content does not have the digest of its name
  // sources
  | "content-mismatch" //        a blob, manifest or layer that has not the size or digest that was promised
  | "corrupt-archive" //         an image archive or layout that contradicts itself
  | "unsupported-media-type" //  a layer or manifest of a type that nobody here can read
  | "invalid-config" //          a configuration file (registries.conf, auth.json, storage.conf) that cannot be read
  | "registry-denied" //         the registry wants other credentials
  | "registry-not-found" //      the registry does not have it
  | "registry-failed" //         the registry answered something else than what the protocol says
  | "network-failed" //          no connection, or none that lasted, or no answer in time
  | "source-changed" //          a file changed or vanished while it was read
  | "source-unreadable" //       a file or directory that cannot be read
  | "store-failed" //            the object store cannot take an object
  | "output-failed" //           the image cannot be written
  // cli
  | "usage"; //                  a command line that makes no sense

/** The base of all errors that are thrown on purpose. */
export class ComposefsError extends Error {
  override readonly name: string = "ComposefsError";
  readonly code: ErrorCode;
  /** What the user could try next: one sentence without a full stop, or nothing. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.hint = options.hint;
  }
}

/** A dump that cannot be read: says which line (from 1) and which field. */
export class DumpError extends ComposefsError {
  override readonly name = "DumpError";
  /** Line number from 1; 0 where the whole dump is meant (an empty one, say). */
  readonly line: number;
  /** `path`, `size`, `mode`, `nlink`, `uid`, `gid`, `rdev`, `mtime`, `payload`, `content`, `digest`, `xattr` or `line`. */
  readonly field: string;
  /** The bare reason, as C `mkcomposefs` words it. */
  readonly reason: string;

  constructor(line: number, field: string, reason: string, hint?: string) {
    super(
      "dump-syntax",
      line > 0
        ? `Cannot read dump: line ${line}, ${field}: ${reason}`
        : `Cannot read dump: ${reason}`,
      hint === undefined ? {} : { hint },
    );
    this.line = line;
    this.field = field;
    this.reason = reason;
  }
}

/** An image that cannot be read: says at which byte offset it contradicts itself. */
export class ImageError extends ComposefsError {
  override readonly name = "ImageError";
  /** Byte offset from the start of the image. */
  readonly offset: number;

  constructor(
    code: "not-erofs" | "not-composefs" | "corrupt-image" | "unsupported-image",
    offset: number,
    reason: string,
  ) {
    super(
      code,
      `Cannot read EROFS image: ${code === "corrupt-image" ? `corrupt at offset ${offset}: ` : ""}${reason}`,
    );
    this.offset = offset;
  }
}

/** A tar archive that cannot be read: says at which byte offset. */
export class TarError extends ComposefsError {
  override readonly name = "TarError";
  /** Byte offset, from the start of the archive, of the header that the trouble is with. */
  readonly offset: number;

  constructor(
    code: "corrupt-tar" | "unsupported-tar" | "tar-limit",
    offset: number,
    reason: string,
    hint?: string,
  ) {
    super(
      code,
      `Cannot read tar archive at offset ${offset}: ${reason}`,
      hint === undefined ? {} : { hint },
    );
    this.offset = offset;
  }
}
