/** Reading objects, verified: by the kernel where the file has fs-verity, else by hashing. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { computeFsVerityDigest, FsVerityHasher } from "../../core/fsverity/hasher.ts";
import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import { FILE_TYPE, S_IFMT } from "../../core/tree/node.ts";
import { blockHash, close, fstat, isErrno, preadFully } from "../../floor/mod.ts";
import type { Fd } from "../../floor/mod.ts";
import { measuredDigest, openObjectFile } from "./find-object.ts";
import { hashOpenFile } from "./hash-file.ts";
import type { ObjectsConfig } from "./staged-object.ts";

const CHUNK_SIZE = 1 << 20;

/** An object, open for reading. */
export interface OpenedObject {
  /** The caller closes it. */
  readonly fd: Fd;
  /** Bytes. */
  readonly size: number;
  /** Whether the kernel checks each read against the digest. */
  readonly isEnforced: boolean;
}

/**
 * Opens an object. With verity `required` the kernel enforces its digest; else `isEnforced` tells, and
 * what is not enforced has not been looked at.
 *
 * @throws ComposefsError `object-missing`, `object-corrupt`; with verity `required` also `verity-missing`.
 */
export function openObject(store: ObjectsConfig, digest: FsVerityDigest): OpenedObject {
  let fd: Fd;
  try {
    fd = openObjectFile(store.dirfd, digest);
  } catch (error) {
    if (isErrno(error, "ENOENT"))
      throw objectError("object-missing", store, digest, "it is missing");
    if (isErrno(error, "ELOOP", "ENXIO")) throw notAFile(store, digest);
    throw error;
  }
  try {
    const { mode, size } = fstat(fd);
    if ((mode & S_IFMT) !== FILE_TYPE.file) throw notAFile(store, digest);
    const measured = measuredDigest(fd);
    if (measured === undefined && store.verity === "required") {
      throw objectError("verity-missing", store, digest, "it has no fs-verity, which is required");
    }
    // Another digest is not always damage where nothing is required: someone may have chosen other parameters.
    if (measured !== undefined && measured !== digest && store.verity === "required") {
      throw objectError("object-corrupt", store, digest, `its fs-verity digest is ${measured}`);
    }
    return { fd, size, isEnforced: measured === digest };
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** As {@link openObject}; what the kernel does not enforce is read and hashed here first. */
export function openVerifiedObject(store: ObjectsConfig, digest: FsVerityDigest): OpenedObject {
  const object = openObject(store, digest);
  try {
    if (!object.isEnforced && hashFile(store, object.fd) !== digest) throw corrupt(store, digest);
    return object;
  } catch (error) {
    close(object.fd);
    throw error;
  }
}

/** The verified content of an object. Throws as {@link openObject}, also for more than `maxBytes`. */
export function readObject(
  store: ObjectsConfig,
  digest: FsVerityDigest,
  maxBytes: number,
): Uint8Array {
  const { fd, size, isEnforced } = openObject(store, digest);
  try {
    if (size > maxBytes) {
      const reason = `it has ${size} bytes where at most ${maxBytes} make sense`;
      throw objectError("object-corrupt", store, digest, reason);
    }
    const data = new Uint8Array(size);
    const isWhole = preadFully(fd, data, 0) === size;
    if (!isWhole) throw corrupt(store, digest);
    if (!isEnforced && computeFsVerityDigest(data, blockHash(store.algorithm)) !== digest) {
      throw corrupt(store, digest);
    }
    return data;
  } finally {
    close(fd);
  }
}

/** The digest of an open file as it is now. */
function hashFile(store: ObjectsConfig, fd: Fd): FsVerityDigest {
  const hasher = new FsVerityHasher(blockHash(store.algorithm));
  return hashOpenFile(fd, hasher, new Uint8Array(CHUNK_SIZE));
}

function notAFile(store: ObjectsConfig, digest: FsVerityDigest): ComposefsError {
  return objectError("object-corrupt", store, digest, "it is not a regular file");
}

function corrupt(store: ObjectsConfig, digest: FsVerityDigest): ComposefsError {
  return objectError("object-corrupt", store, digest, "its content has another digest");
}

function objectError(
  code: "object-missing" | "object-corrupt" | "verity-missing",
  store: ObjectsConfig,
  digest: FsVerityDigest,
  reason: string,
): ComposefsError {
  return new ComposefsError(
    code,
    `Cannot read object ${digest} of "${displayText(store.path)}": ${reason}`,
    { hint: "`composefs repo fsck` tells which images need it" },
  );
}
