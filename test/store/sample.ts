/**
 * Repositories made by hand, file by file: sound ones, and those that no program would make.
 */

import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { randomInt } from "node:crypto";
import { dirname, join, relative } from "node:path";
import {
  CONTENT_TYPE,
  SplitStreamWriter,
  byteString,
  computeFsVerityDigest,
  objectPath,
  validateTree,
  writeImage,
} from "#src/core/mod.ts";
import type {
  ByteString,
  Directory,
  FsVerityAlgorithm,
  FsVerityDigest,
  Node,
} from "#src/core/mod.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, close, flock, openat } from "#src/floor/mod.ts";
import { nodeHash } from "../support/hash.ts";
import { tempDir } from "../support/temp.ts";

/** What a stream refers to. */
export interface StreamParts {
  readonly objects?: readonly FsVerityDigest[];
  readonly refs?: readonly (readonly [name: string, digest: FsVerityDigest])[];
  readonly contentType?: bigint;
  /** Makes streams differ that are alike else. */
  readonly inline?: string;
}

/** A repository without fs-verity; an object of this class will do where the source wants one. */
export class SampleRepository {
  readonly directory: string;
  readonly path: ByteString;
  readonly algorithm: FsVerityAlgorithm;
  readonly verity = "missing-allowed";
  readonly dirfd: number;
  /** Of the directories of its images: tells its mounts from those of other tests. */
  readonly #time = BigInt(randomInt(2 ** 31));

  constructor(algorithm: FsVerityAlgorithm = "sha256", directory = join(tempDir(), "repository")) {
    this.directory = directory;
    this.path = byteString(directory);
    this.algorithm = algorithm;
    for (const each of ["objects", "streams/refs", "images/refs"]) {
      mkdirSync(join(directory, each), { recursive: true });
    }
    writeFileSync(
      join(directory, "meta.json"),
      `${JSON.stringify({
        version: 1,
        algorithm: `fsverity-${algorithm}-12`,
        features: { compatible: [], "read-only-compatible": ["v1_erofs"], incompatible: [] },
        erofs_formats: { default: 1 },
      })}\n`,
    );
    this.dirfd = openat(AT_FDCWD, this.path, O_RDONLY | O_DIRECTORY);
    flock(this.dirfd, "shared", { wait: true });
  }

  close(): void {
    close(this.dirfd);
  }

  /** Lets others lock it exclusively; it can be used all the same. */
  unlock(): void {
    flock(this.dirfd, "none", { wait: true });
  }

  /** The absolute path of something in it. */
  at(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  objectFile(digest: FsVerityDigest): string {
    return this.at("objects", objectPath(digest));
  }

  /** Stores an object. */
  put(content: string | Uint8Array): FsVerityDigest {
    const bytes = Buffer.from(content);
    const digest = computeFsVerityDigest(bytes, nodeHash(this.algorithm));
    mkdirSync(dirname(this.objectFile(digest)), { recursive: true });
    writeFileSync(this.objectFile(digest), bytes);
    return digest;
  }

  /** Makes an entry that leads to an object, be it there or not. */
  link(category: "streams" | "images", name: string, digest: FsVerityDigest): void {
    symlinkSync(`../objects/${objectPath(digest)}`, this.at(category, name));
  }

  /** Makes a ref that leads to an entry. */
  ref(category: "streams" | "images", name: string, entry: string): void {
    const path = this.at(category, "refs", name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(relative(dirname(path), this.at(category, entry)), path);
  }

  /** The bytes of a stream. */
  streamBytes(parts: StreamParts): Uint8Array {
    const writer = new SplitStreamWriter({
      algorithm: this.algorithm,
      contentType: parts.contentType ?? CONTENT_TYPE.ociLayer,
    });
    if (parts.inline !== undefined) writer.writeInline(Buffer.from(parts.inline));
    for (const digest of parts.objects ?? []) writer.writeExternal(1, digest);
    for (const [name, digest] of parts.refs ?? []) writer.addNamedRef(byteString(name), digest);
    return writer.finish();
  }

  stream(name: string, parts: StreamParts): FsVerityDigest {
    const digest = this.put(this.streamBytes(parts));
    this.link("streams", name, digest);
    return digest;
  }

  /** Stores an image whose files `/0`, `/1`, … are these objects. */
  image(objects: readonly FsVerityDigest[], ref?: string): FsVerityDigest {
    const digest = this.put(writeImage(validateTree(treeOf(objects, this.#time)), { version: 1 }));
    this.link("images", digest, digest);
    if (ref !== undefined) this.ref("images", ref, digest);
    return digest;
  }

  /** Every file and link, as paths in byte order. */
  files(): string[] {
    const found: string[] = [];
    const directories = [this.directory];
    // `recursive` would follow links to directories on newer Nodes.
    for (const directory of directories) {
      for (const entry of readdirSync(directory, { withFileTypes: true })) {
        const path = join(directory, entry.name);
        if (entry.isDirectory()) directories.push(path);
        else found.push(relative(this.directory, path));
      }
    }
    return found.sort();
  }

  /** The digests of all objects, in order. */
  objects(): string[] {
    return this.files()
      .filter((file) => /^objects\/[0-9a-f]{2}\/[0-9a-f]{62,126}$/.test(file))
      .map((file) => file.slice("objects/".length).replace("/", ""));
  }

  read(digest: FsVerityDigest): Buffer {
    return readFileSync(this.objectFile(digest));
  }
}

function treeOf(objects: readonly FsVerityDigest[], sec: bigint): Directory {
  const stat = { mode: 0o755, uid: 0, gid: 0, mtime: { sec, nsec: 0 }, xattrs: new Map() };
  const entries = new Map<ByteString, Node>();
  for (const [index, digest] of objects.entries()) {
    entries.set(byteString(String(index)), {
      kind: "file",
      stat,
      nlink: 1,
      content: { kind: "external", size: 100, path: objectPath(digest), digest },
    });
  }
  return { kind: "directory", stat, entries };
}
