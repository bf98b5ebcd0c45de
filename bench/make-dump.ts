/** A planned tree as composefs-dump(5), without the tree: digests are made up, xattrs as SELinux has them. */

import { hash } from "node:crypto";
import type { TreePlan } from "./tree-plan.ts";

const INLINE_LIMIT = 64;
const TYPES = ["usr_t", "lib_t", "bin_t", "etc_t", "locale_t", "man_t", "src_t", "fonts_t"];

/** In a later version of the tree one file of this many has changed. */
const CHANGED = 50;

/**
 * Yields the lines of the dump, in the order that the format wants: a directory, then what is in it.
 * Another `version` of the same tree differs in some contents.
 */
export function* dumpLines(plan: TreePlan, version = 1): Iterable<string> {
  const lines = new Map<string, string>();
  const children = new Map<string, string[]>([["", []]]);
  const add = (path: string, line: string): void => {
    lines.set(path, line);
    children.get(path.slice(0, Math.max(path.lastIndexOf("/"), 0)))!.push(path);
  };
  for (const path of plan.directories) {
    children.set(path, []);
    add(path, `4096 40755 2 0 0 0 1700000000.0 - - - ${xattr(path)}`);
  }
  for (const { path, size, content, executable } of plan.files) {
    const mode = executable ? "100755" : "100644";
    const stat = `${size} ${mode} 1 0 0 0 1700000000.${content % 1000}`;
    add(
      path,
      `${stat} ${contentFields(size, content % CHANGED === 0 ? content * version : content)} ${xattr(path)}`,
    );
  }
  for (const { path, target } of plan.symlinks) {
    add(path, `${target.length} 120777 1 0 0 0 1700000000.0 ${target} - - ${xattr(path)}`);
  }
  yield "/ 4096 40755 2 0 0 0 1700000000.0 - - -\n";
  yield* below("", lines, children);
}

function* below(
  directory: string,
  lines: ReadonlyMap<string, string>,
  children: ReadonlyMap<string, readonly string[]>,
): Iterable<string> {
  for (const path of children.get(directory)!.slice().sort()) {
    yield `/${path} ${lines.get(path)}\n`;
    if (children.has(path)) yield* below(path, lines, children);
  }
}

/** Payload, content and digest. */
function contentFields(size: number, content: number): string {
  if (size === 0) return "- - -";
  if (size <= INLINE_LIMIT) return `- ${"x".repeat(size)} -`;
  const digest = hash("sha256", `content ${content}`);
  return `${digest.slice(0, 2)}/${digest.slice(2)} - ${digest}`;
}

/** As on a real system, what lies in one directory mostly has one label. */
function xattr(path: string): string {
  const directory = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
  const type = TYPES[directory.length % TYPES.length];
  return `security.selinux=system_u:object_r:${type}:s0\\x00`;
}
