/**
 * `composefs-info`, as C's: same options, same standard output, same exit status.
 *
 * Source of the behaviour: composefs 1.0.8 tools/composefs-info.c and man/composefs-info.md.
 */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { TextWriter } from "../../core/bytes/text-writer.ts";
import { writeEscaped } from "../../core/dump/escape.ts";
import type { ImageEntry } from "../../core/erofs/walk-image.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { Directory, Leaf } from "../../core/tree/node.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { dumpOfImageFile, walkImageFile } from "../arguments/load-tree.ts";
import { Basedirs, collectObjects, sortObjects } from "../tasks/objects.ts";
import type { Output } from "../output/output.ts";
import { COMPOSEFS_INFO, INFO_COMMANDS } from "../table/composefs-info.ts";
import { readCommandLine, usageError } from "./drop-in.ts";

/** Bytes of a listing that are collected before they are handed on. */
const PIECE = 1 << 16;

type InfoCommand = (typeof INFO_COMMANDS)[number];

/** Runs the command. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const call = readCommandLine(COMPOSEFS_INFO, args, io);
  if (typeof call === "number") return call;
  const { invocation, problem } = call;
  const filter = invocation.values("filter");
  checkFilter(filter);
  if (problem !== undefined) {
    // C leaves this word behind, and who compares standard output will find it there.
    io.out.text("Def\n");
    throw usageError(COMPOSEFS_INFO, problem.message);
  }
  const [word, ...paths] = invocation.operands;
  if (word === undefined) throw usageError(COMPOSEFS_INFO, "No command specified");
  const command = INFO_COMMANDS.find((name) => name === word);
  if (command === undefined) throw unknownCommand(word);
  if (command === "measure-file") return measureFiles(paths, io.out);
  const basedirs = openBasedir(invocation);
  try {
    if (paths.length === 0) throw usageError(COMPOSEFS_INFO, "No image path specified");
    showImages(command, paths, filter, basedirs, io.out);
  } finally {
    basedirs.close();
  }
  return 0;
}

function showImages(
  command: Exclude<InfoCommand, "measure-file">,
  paths: readonly ByteString[],
  filter: readonly ByteString[],
  basedirs: Basedirs,
  out: Output,
): void {
  const objects = new Set<ByteString>();
  for (const path of paths) {
    switch (command) {
      case "ls":
        for (const piece of walkImageFile(path, filter, listEntries)) out.bytes(piece);
        break;
      case "dump":
        for (const piece of dumpOfImageFile(path, filter)) out.bytes(piece);
        break;
      case "objects":
      case "missing-objects":
        walkImageFile(path, filter, (entries) => collectObjects(entries, objects));
        break;
    }
  }
  for (const object of sortObjects(objects)) {
    if (command === "missing-objects" && basedirs.has(object)) continue;
    out.byteString(object);
    out.text("\n");
  }
}

/** The listing in pieces. All of it is there before the first is out: a broken image has none. */
function listEntries(entries: Iterable<ImageEntry>): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const lines = new TextWriter();
  for (const entry of entries) {
    if (entry.path === "/") continue;
    writeEscaped(lines, entry.path, { keepSpace: true });
    if (entry.linkOf === undefined) writeSuffix(lines, entry.node);
    lines.text("\n");
    if (lines.length >= PIECE) pieces.push(lines.take());
  }
  return [...pieces, lines.take()];
}

/** What follows a first name: a slash, a symlink's target, a backing file. */
function writeSuffix(lines: TextWriter, node: Directory | Leaf): void {
  switch (node.kind) {
    case "directory":
      lines.text("/\t");
      return;
    case "symlink":
      lines.text("\t-> ");
      writeEscaped(lines, node.target);
      return;
    case "file":
      if (node.content.kind !== "external" || node.content.path === undefined) return;
      lines.text("\t@ ");
      writeEscaped(lines, node.content.path);
      return;
    default:
  }
}

async function measureFiles(paths: readonly ByteString[], out: Output): Promise<number> {
  if (paths.length === 0) throw usageError(COMPOSEFS_INFO, "No files specified");
  const { measureFile } = await import("../tasks/measure.ts"); // hashing costs 4 ms at start-up
  for (const path of paths) {
    out.text(`${measureFile(path, { algorithm: "sha256", blockSize: 4096 }).digest}\n`);
  }
  return 0;
}

function openBasedir(invocation: Invocation): Basedirs {
  const path = invocation.value("basedir");
  return new Basedirs(path === undefined ? [] : [path]);
}

function checkFilter(names: readonly ByteString[]): void {
  const path = names.find((name) => name.includes("/"));
  if (path === undefined) return;
  throw new ComposefsError("usage", `Filter must be a single name: ${displayText(path)}`);
}

function unknownCommand(word: ByteString): ComposefsError {
  return new ComposefsError("usage", `Unknown command '${displayText(word)}'`, {
    hint: `the commands are ${INFO_COMMANDS.join(", ")}`,
  });
}
