/**
 * The policy that a tree brings along: `/etc/selinux/config` and the file contexts that it names.
 *
 * Source: selinux_config(5), selabel_file(5); where files are missing, composefs-rs 0.9.
 */

import type { ByteString } from "../bytes/byte-string.ts";
import { displayText } from "../bytes/byte-string.ts";
import { resolveLink } from "../tree/node.ts";
import type { Directory, FileContent } from "../tree/node.ts";
import { FileContexts } from "./file-contexts.ts";
import {
  MAX_SIZE,
  invalidPolicy,
  parseFileContexts,
  parsePolicyName,
  parseSubstitutions,
} from "./policy-text.ts";

/** Gives the bytes of a file that is not inline. */
export type ContentReader = (content: FileContent) => Uint8Array;

/** A policy, as far as labels of files need it. */
export interface LabelPolicy {
  readonly contexts: FileContexts;
  /** Directories and files that are labelled like others. */
  readonly substitutions: ReadonlyMap<ByteString, ByteString>;
}

const ETC_SELINUX = "/etc/selinux";
/** Of several rules that match, the last of the last file counts. */
const RULE_FILES = ["file_contexts", "file_contexts.local", "file_contexts.homedirs"];
/** Of two substitutions for a path, that of the last file counts. */
const SUBSTITUTION_FILES = ["file_contexts.subs", "file_contexts.subs_dist"];

/**
 * Finds the policy of a tree; `undefined` when it has none, that is no configuration, or one that names
 * no policy. Throws `invalid-policy` when there is one that cannot be used.
 */
export function findPolicy(root: Directory, readContent: ContentReader): LabelPolicy | undefined {
  const selinux = findDirectory(root, ETC_SELINUX);
  if (selinux === undefined) return undefined;
  const configPath = `${ETC_SELINUX}/config`;
  const config = readFile(selinux, "config", configPath, readContent);
  if (config === undefined) return undefined;
  const name = parsePolicyName(config, configPath);
  if (name === undefined) return undefined;

  const path = `${ETC_SELINUX}/${displayText(name)}/contexts/files`;
  const files = findDirectory(selinux, `${name}/contexts/files`);
  if (files === undefined) throw invalidPolicy(`"${path}"`, "not there");
  const rules = [];
  for (const file of RULE_FILES) {
    const filePath = `${path}/${file}`;
    const content = readFile(files, file, filePath, readContent);
    if (content !== undefined) {
      for (const rule of parseFileContexts(content, filePath)) rules.push(rule);
    } else if (file === RULE_FILES[0]) {
      throw invalidPolicy(`"${filePath}"`, "not there");
    }
  }
  const substitutions = new Map<ByteString, ByteString>();
  for (const file of SUBSTITUTION_FILES) {
    const content = readFile(files, file, `${path}/${file}`, readContent);
    if (content === undefined) continue;
    for (const [alias, original] of parseSubstitutions(content, `${path}/${file}`)) {
      substitutions.set(alias, original);
    }
  }
  return { contexts: new FileContexts(rules), substitutions };
}

/** Follows names, but no symlinks: where one would lead is not known here. */
function findDirectory(from: Directory, path: string): Directory | undefined {
  let directory = from;
  const names = path.split("/").filter((name) => name !== "") as ByteString[];
  for (const name of names) {
    if (name === "." || name === "..")
      throw invalidPolicy(`"${displayText(path as ByteString)}"`, `holds "${name}"`);
    const node = directory.entries.get(name);
    if (node === undefined) return undefined;
    if (node.kind !== "directory") {
      throw invalidPolicy(
        `"${displayText(path as ByteString)}"`,
        `"${displayText(name)}" is a ${resolveLink(node).kind}, not a directory`,
      );
    }
    directory = node;
  }
  return directory;
}

function readFile(
  directory: Directory,
  name: string,
  path: string,
  readContent: ContentReader,
): Uint8Array | undefined {
  const found = directory.entries.get(name as ByteString);
  if (found === undefined) return undefined;
  const node = resolveLink(found);
  if (node.kind !== "file") throw invalidPolicy(`"${path}"`, `is a ${node.kind}, not a file`);
  const { content } = node;
  switch (content.kind) {
    case "inline":
      return content.data;
    case "sparse":
      return undefined;
    case "external":
      if (content.size > MAX_SIZE) throw invalidPolicy(`"${path}"`, "larger than 16 MiB");
      return readContent(content);
  }
}
