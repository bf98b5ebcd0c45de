/** `cfsctl oci prepare-boot`: an image that can be booted, and what the boot loader needs for it. */

import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";

import { byteString, displayText } from "../../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import { BootEntryFile, composefsDigestIn, findPeSection } from "../../../../core/boot/mod.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import type { FsVerityDigest } from "../../../../core/fsverity/digest.ts";
import { canonicalizeBootableRootfs } from "../../../../core/oci/mod.ts";
import { labelTree } from "../../../../core/selinux/mod.ts";
import type { Directory, FileContent } from "../../../../core/tree/node.ts";
import { createAtomicFile } from "../../../../floor/atomic-file.ts";
import { loadZstd } from "../../../../floor/mod.ts";
import type { Zstd } from "../../../../floor/mod.ts";
import { contentReader, writeErofsImages } from "../../../../store/mod.ts";
import type { Repository } from "../../../../store/mod.ts";
import type { Invocation } from "../../../command-line/invocation.ts";
import { withRepository } from "../repository.ts";
import { formatKarg } from "../scan.ts";
import type { CfsctlCall, Settings } from "../settings.ts";
import { findBootEntries } from "./boot-entries.ts";
import type { BootEntry, Type1Entry, Type2Entry } from "./boot-entries.ts";
import { linkBootImages } from "./boot-image.ts";
import { composeTree, diffIdsNamed } from "./rootfs.ts";

/** Largest file that goes to the boot partition. */
const BOOT_FILE_MAX = 2 ** 31 - 1;

/** What the boot entry is about. */
interface BootWork {
  readonly repository: Repository;
  readonly digest: FsVerityDigest;
  readonly karg: string;
  readonly bootdir: string;
  readonly entryId: string | undefined;
  readonly cmdline: readonly string[];
}

/** Makes the image, writes the first boot entry, and makes the directories of its state. */
export function prepareBoot({ settings, invocation }: CfsctlCall): Promise<number> {
  return withRepository(settings, async (repository) => {
    const zstd = await loadZstd();
    const diffIds = diffIdsNamed(repository, invocation, zstd);
    const rootfs = composeTree(repository, diffIds, zstd, {
      bootable: false,
      keepUserXattrs: false,
    });
    const [entry] = findBootEntries(rootfs, contentReader(repository));
    const digest = await storeImages(repository, rootfs, invocation, zstd);
    const { default: first, extra } = repository.formats;
    const version = first === 1 && !extra.includes(2) ? 1 : 2;
    const isOptional = repository.verity !== "required";
    if (entry === undefined) {
      throw new ComposefsError("invalid-tree", "Cannot boot the image: there is no kernel in it");
    }
    writeBootEntry(entry, {
      repository,
      digest,
      karg: formatKarg(digest, repository.algorithm, version, isOptional),
      bootdir: invocation.value("bootdir") ?? "/boot",
      entryId: invocation.value("entry-id"),
      cmdline: invocation.values("cmdline"),
    });
    const state = join(stateDirectory(settings), digest);
    for (const name of ["var", "etc/upper", "etc/work"]) makeDirectory(join(state, name));
    return 0;
  });
}

/** Stores the images of all formats; returns the digest of the one that is booted. */
async function storeImages(
  repository: Repository,
  rootfs: Directory,
  { operands: [reference] }: Invocation,
  zstd: Zstd,
): Promise<FsVerityDigest> {
  const bootable = labelTree(canonicalizeBootableRootfs(rootfs), contentReader(repository));
  const { default: first, extra } = repository.formats;
  const images = writeErofsImages(bootable, [first, ...extra]);
  const digests = await linkBootImages(repository, reference!, images, zstd);
  const digest = digests.get(1) ?? digests.get(2);
  if (digest !== undefined) return digest;
  throw new ComposefsError(
    "repository-conflict",
    `Cannot boot images of "${displayText(repository.path)}": it has none of format V1 or V2`,
  );
}

function writeBootEntry(entry: BootEntry, work: BootWork): void {
  switch (entry.kind) {
    case "type1":
      return writeType1(entry, work);
    case "type2":
      return writeType2(entry, work);
    case "modules": {
      const { version, kernel, initramfs } = entry;
      if (initramfs === undefined) {
        throw new ComposefsError(
          "invalid-tree",
          `Cannot boot kernel ${displayText(version as ByteString)}: it has no initramfs.img`,
        );
      }
      const id = work.entryId ?? version;
      const lines = [
        ...["# File created by composefs", "title todoOS", "version 0-todo"],
        ...[`linux /${id}/vmlinuz`, `initrd /${id}/initramfs.img`],
      ];
      const file = new BootEntryFile(`${lines.join("\n")}\n`);
      const files = new Map([
        [`/${id}/vmlinuz`, kernel],
        [`/${id}/initramfs.img`, initramfs],
      ]);
      return writeType1({ kind: "type1", name: `${id}.conf`, file, files }, work);
    }
  }
}

function writeType1({ name, file, files }: Type1Entry, work: BootWork): void {
  const { entryId, bootdir, karg, cmdline } = work;
  const placed = new Map(files);
  if (entryId !== undefined) {
    file.relocate(entryId, (from, to) => {
      const content = placed.get(from);
      placed.delete(from);
      if (content !== undefined) placed.set(to, content);
    });
  }
  for (const argument of [karg, ...cmdline]) file.setOption(argument);
  // The entry comes last: what it names is there then.
  for (const [path, content] of placed) {
    if (!path.startsWith("/")) {
      throw new ComposefsError(
        "invalid-tree",
        `Cannot boot by "${displayText(path as ByteString)}": the path is not absolute`,
      );
    }
    writeFile(join(bootdir, path), readBootFile(work.repository, content));
  }
  const entryName = entryId === undefined ? name : `${entryId}.conf`;
  const path = join(bootdir, "loader/entries", entryName);
  writeFile(path, Buffer.from(file.format(), "latin1"));
}

function writeType2({ path, content }: Type2Entry, work: BootWork): void {
  const { repository, digest, bootdir, entryId, cmdline } = work;
  if (cmdline.length > 0) {
    throw new ComposefsError(
      "invalid-tree",
      "Cannot add kernel arguments: the image boots by a unified kernel image, which has its own",
    );
  }
  const name = entryId === undefined ? path : join(dirname(path), `${entryId}.efi`);
  const bytes = readBootFile(repository, content);
  const section = findPeSection(bytes, ".cmdline");
  const text = section === undefined ? "" : Buffer.from(section).toString("latin1");
  const named = composefsDigestIn(text, repository.algorithm);
  if (named !== digest) {
    throw new ComposefsError(
      "verity-mismatch",
      `Cannot boot by "${displayText(path as ByteString)}": it names ${named ?? "no image"}, and the image is ${digest}`,
    );
  }
  writeFile(join(bootdir, "EFI/Linux", name), bytes);
}

/** A kernel or initial RAM disk, verified. */
function readBootFile(repository: Repository, content: FileContent): Uint8Array {
  if (content.kind === "inline") return content.data;
  const digest = content.kind === "external" ? content.digest : undefined;
  return digest === undefined ? new Uint8Array(0) : repository.readObject(digest, BOOT_FILE_MAX);
}

function writeFile(path: string, bytes: Uint8Array): void {
  makeDirectory(dirname(path));
  const file = createAtomicFile(path);
  try {
    file.write(bytes);
    file.commit();
  } finally {
    file.discard();
  }
}

function makeDirectory(path: string): void {
  mkdirSync(Buffer.from(path, "latin1"), { recursive: true });
}

/** Beside a repository that was named, else where the initial RAM disk looks. */
function stateDirectory({ place }: Settings): string {
  const isNamed = place !== undefined && place !== "user" && place !== "system";
  return join(isNamed ? dirname(place) : byteString("/sysroot"), "state/deploy");
}
