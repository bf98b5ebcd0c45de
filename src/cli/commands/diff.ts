/** `composefs diff`. */

import { statSync } from "node:fs";

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { resolveLink } from "../../core/tree/node.ts";
import type { Directory, Node } from "../../core/tree/node.ts";
import { diffTrees } from "../../core/tree/diff.ts";
import type { ChangedAspect, TreeDifference } from "../../core/tree/diff.ts";
import { linkTargetPaths } from "../../core/tree/walk.ts";
import { EXIT } from "../exit.ts";
import { interruptible } from "../interrupt.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { writeJsonArray } from "../output/json.ts";
import { formatMode } from "../output/listing.ts";
import { readDumpFile, readImageFile } from "../arguments/load-tree.ts";
import { readSource } from "../tasks/make-image.ts";
import { formatCount } from "../output/progress.ts";
import {
  erofsOf,
  isRepositoryImage,
  treeOfErofs,
  withRepositoryImage,
} from "../arguments/repository-image.ts";
import { costToDownload, costToStore, describeCosts } from "../tasks/diff-cost.ts";
import type { OciImage } from "../../store/mod.ts";

/** Compares two trees. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const [a, b] = invocation.operands as readonly [ByteString, ByteString];
  if (a === "-" && b === "-") {
    throw new ComposefsError("usage", "Cannot read both trees from standard input");
  }
  const from = await loadSide(a, invocation, io);
  const to = await loadSide(b, invocation, io);
  const before = from.root;
  const after = to.root;
  if (invocation.has("stat")) return printStat(from, to, invocation, io);
  let count = 0;
  const differences = function* (): Generator<TreeDifference> {
    for (const difference of relevant(diffTrees(before, after), invocation)) {
      count++;
      yield difference;
    }
  };
  if (invocation.has("json")) {
    writeJsonArray(io.out, mapped(differences(), jsonDifference));
  } else {
    const describe = describer(before, after);
    for (const difference of differences()) printDifference(difference, describe, io);
  }
  return count === 0 ? EXIT.ok : EXIT.different;
}

/** One of the two that are compared. */
interface Side {
  readonly root: Directory;
  /** If it is an image of the repository. */
  readonly image: OciImage | undefined;
}

async function loadSide(operand: ByteString, invocation: Invocation, io: Io): Promise<Side> {
  if (!isRepositoryImage(operand, invocation)) {
    return { root: await loadTree(operand, invocation), image: undefined };
  }
  return withRepositoryImage(operand, invocation, io, (repo, image) => ({
    root: treeOfErofs(repo, erofsOf(repo, image, operand)),
    image,
  }));
}

function printStat(from: Side, to: Side, invocation: Invocation, io: Io): number {
  const counts = { added: 0, removed: 0, changed: 0 };
  for (const { change } of relevant(diffTrees(from.root, to.root), invocation)) counts[change]++;
  const store = costToStore(from.root, to.root);
  const download =
    from.image === undefined || to.image === undefined
      ? undefined
      : { ...costToDownload(from.image, to.image), layersOf: to.image.layers.length };
  if (invocation.has("json")) {
    const json = {
      ...counts,
      store: { objects: store.count, bytes: store.bytes },
      download:
        download === undefined
          ? null
          : { layers: download.count, layersOf: download.layersOf, bytes: download.bytes },
    };
    io.out.text(`${JSON.stringify(json, undefined, 2)}\n`);
  } else {
    const paths = Object.entries(counts).map(([what, count]) => `${formatCount(count)} ${what}`);
    io.out.text(`${paths.join(", ")}\n${describeCosts(store, download)}\n`);
  }
  return Object.values(counts).some((count) => count > 0) ? EXIT.different : EXIT.ok;
}

/** A tree out of a directory, an image or a dump, whichever it is. */
async function loadTree(path: ByteString, invocation: Invocation): Promise<Directory> {
  if (path === "-") return readDumpFile(path, {});
  if (!isDirectory(path)) return readFileTree(path);
  const content = {
    source: path,
    fromFile: false,
    strict: false,
    scan: {
      useEpoch: false,
      skipDevices: false,
      skipXattrs: false,
      userXattrs: false,
      hardlinks: invocation.has("hardlinks"),
      digestStore: undefined,
      threads: undefined,
    },
  };
  return interruptible((signal) => readSource(content, { signal }));
}

/** Of what cannot be asked about, opening it will say why. */
function isDirectory(path: ByteString): boolean {
  try {
    return statSync(Buffer.from(path, "latin1")).isDirectory();
  } catch {
    return false;
  }
}

/** An image, or else a dump: whatever has no EROFS magic. */
function readFileTree(path: ByteString): Directory {
  try {
    return readImageFile(path).root;
  } catch (error) {
    if (error instanceof ComposefsError && error.code === "not-erofs")
      return readDumpFile(path, {});
    throw error;
  }
}

function* relevant(
  differences: Iterable<TreeDifference>,
  invocation: Invocation,
): Generator<TreeDifference> {
  const ignored: readonly ChangedAspect[] = invocation.has("ignore-mtime") ? ["mtime"] : [];
  for (const difference of differences) {
    if (difference.change !== "changed") {
      yield difference;
      continue;
    }
    const aspects = difference.aspects.filter((aspect) => !ignored.includes(aspect));
    if (aspects.length > 0) yield { ...difference, aspects };
  }
}

function* mapped<T, U>(values: Iterable<T>, change: (value: T) => U): Generator<U> {
  for (const value of values) yield change(value);
}

function jsonDifference(difference: TreeDifference): object {
  const { change } = difference;
  const path = displayText(difference.path);
  return change === "changed" ? { path, change, fields: difference.aspects } : { path, change };
}

type Describe = (aspect: ChangedAspect, before: Node, after: Node) => string;

function printDifference(difference: TreeDifference, describe: Describe, io: Io): void {
  const { out } = io;
  const path = displayText(difference.path);
  switch (difference.change) {
    case "added":
      out.text(`${out.style("green", `+ ${path}`)}\n`);
      return;
    case "removed":
      out.text(`${out.style("red", `- ${path}`)}\n`);
      return;
    case "changed": {
      const { before, after, aspects } = difference;
      const changes = aspects.map((aspect) => describe(aspect, before, after)).join(", ");
      out.text(`${out.style("yellow", `~ ${path}`)}: ${changes}\n`);
    }
  }
}

/** Says what a property was and is, where that fits into a line. */
function describer(before: Directory, after: Directory): Describe {
  const links = { before: linkTargetPaths(before), after: linkTargetPaths(after) };
  return (aspect, a, b) => {
    const old = aspectText(aspect, a, links.before);
    const now = aspectText(aspect, b, links.after);
    return old === undefined || now === undefined ? aspect : `${aspect} ${old} -> ${now}`;
  };
}

function aspectText(
  aspect: ChangedAspect,
  entry: Node,
  links: ReturnType<typeof linkTargetPaths>,
): string | undefined {
  const node = resolveLink(entry);
  const { stat } = node;
  switch (aspect) {
    case "kind":
      return node.kind;
    case "mode":
      return formatMode(node.kind, stat.mode);
    case "owner":
      return `${stat.uid}:${stat.gid}`;
    case "mtime":
      return `${stat.mtime.sec}.${String(stat.mtime.nsec).padStart(9, "0")}`;
    case "target":
      return node.kind === "symlink" ? displayText(node.target) : undefined;
    case "link": {
      const path = entry.kind === "hardlink" ? links.get(entry.target) : undefined;
      return path === undefined ? "none" : displayText(path);
    }
    default:
      return undefined; // xattrs, content, device: too long, or said by the other properties
  }
}
