/** `cfsctl images`, `image-objects` and `dump-files`: what images there are, and what is in them. */

import { displayText } from "../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../core/bytes/byte-string.ts";
import { readTree } from "../../../core/erofs/read-tree.ts";
import { walkImage } from "../../../core/erofs/walk-image.ts";
import { ComposefsError } from "../../../core/errors.ts";
import { objectPath } from "../../../core/fsverity/digest.ts";
import type { Directory, Leaf, Node } from "../../../core/tree/node.ts";
import { resolveLink } from "../../../core/tree/node.ts";
import { countLinks, formatDumpfile } from "./dumpfile.ts";
import { printJson } from "./json.ts";
import { withImage, withRepository } from "./repository.ts";
import type { CfsctlCall } from "./settings.ts";
import { formatTable } from "./text-table.ts";

/** Digits of a digest that a table shows. */
const SHORT_DIGEST = 12;

/** `cfsctl images`. */
export function images({ settings, invocation, io }: CfsctlCall): Promise<number> {
  return withRepository(settings, (repository) => {
    const entries = repository.listRefs("images").map(({ name, target }) => ({
      name: displayText(name),
      digest: displayText(target.slice(target.lastIndexOf("/") + 1) as ByteString),
    }));
    if (invocation.has("json")) {
      printJson(io.out, { images: entries });
    } else if (entries.length === 0) {
      io.out.text("No images found\n");
    } else {
      const length = invocation.has("no-trunc") ? undefined : SHORT_DIGEST;
      const rows = entries.map(({ name, digest }) => [name, digest.slice(0, length)]);
      io.out.text(formatTable(["NAME", "DIGEST"], rows));
    }
    return 0;
  });
}

/** `cfsctl image-objects`. */
export function imageObjects({ settings, invocation, io }: CfsctlCall): Promise<number> {
  return withRepository(settings, (repository) =>
    withImage(repository, invocation.operands[0]!, (image) => {
      const objects = new Set<string>();
      for (const { node } of walkImage(image)) {
        if (node.kind !== "file" || node.content.kind !== "external") continue;
        if (node.content.digest !== undefined) objects.add(node.content.digest);
      }
      for (const digest of [...objects].sort()) {
        io.out.text(`${repository.algorithm}:${digest}\n`);
      }
      return 0;
    }),
  );
}

/** `cfsctl dump-files`. */
export function dumpFiles({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const [name, ...paths] = invocation.operands as [ByteString, ...ByteString[]];
  return withRepository(settings, (repository) =>
    withImage(repository, name, (image) => {
      const root = readTree(image);
      const links = countLinks(root);
      const found = paths.map((path) => [path, lookUp(root, path)] as const);
      // All of it is there before the first is out.
      for (const [path, node] of found) {
        if (invocation.has("backing-path-only")) backingPath(path, node);
      }
      for (const [path, node] of found) {
        if (invocation.has("backing-path-only")) {
          io.out.byteString(`${path} ${backingPath(path, node)}\n` as ByteString);
        } else {
          for (const piece of formatDumpfile(node, path, links)) io.out.bytes(piece);
        }
      }
      return 0;
    }),
  );
}

/** Where the content of a file is: the path of its object, or in the image itself. */
function backingPath(path: ByteString, node: Directory | Leaf): ByteString | "inline" {
  if (node.kind === "directory") throw notFound(path, "it is a directory");
  if (node.kind !== "file" || node.content.kind !== "external") return "inline";
  const { digest, path: redirect } = node.content;
  return digest === undefined ? redirect! : objectPath(digest);
}

/** Finds a path as it was typed; `.` may stand in its middle alone, `..` nowhere, and `/` is no file. */
function lookUp(root: Directory, path: ByteString): Directory | Leaf {
  const isAbsolute = path.startsWith("/");
  const parts = path
    .split("/")
    .filter((part, i) => part !== "" && (part !== "." || (i === 0 && !isAbsolute)));
  let node: Directory | Leaf = root;
  if (parts.length === 0 || parts.includes(".") || parts.includes("..")) {
    throw notFound(path, "that is no name of a file in an image");
  }
  for (const part of parts) {
    const next: Node | undefined =
      node.kind === "directory" ? node.entries.get(part as ByteString) : undefined;
    if (next === undefined) throw notFound(path, "it is not in the image");
    node = resolveLink(next);
  }
  return node;
}

function notFound(path: ByteString, reason: string): ComposefsError {
  return new ComposefsError("not-in-repository", `Cannot show "${displayText(path)}": ${reason}`);
}
