/**
 * Whom a container runs as: the `User` of an image's config, looked up in the image's own files.
 *
 * Source: OCI image-spec 1.1, config.md, "User": `user`, `uid`, `user:group`, `uid:gid`, `uid:group`,
 * `user:gid`; passwd(5), group(5). Names are bytes, as everything in these files is.
 */

import { byteStringFrom, displayText } from "../bytes/byte-string.ts";
import type { ByteString } from "../bytes/byte-string.ts";
import { ComposefsError } from "../errors.ts";

/** A user as the kernel knows it. */
export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  /** Of the groups that list the user, without `gid`; none where the config names a group. */
  readonly additionalGids: readonly number[];
  /** Where the user is at home, if `/etc/passwd` tells. */
  readonly home: ByteString | undefined;
}

/** The files that are looked into, as far as the image has them. */
export interface UserFiles {
  readonly passwd: Uint8Array | undefined;
  readonly group: Uint8Array | undefined;
}

interface Account {
  readonly name: ByteString;
  readonly uid: number;
  readonly gid: number;
  readonly home: ByteString;
}

interface Group {
  readonly name: ByteString;
  readonly gid: number;
  readonly members: readonly string[];
}

/** 2^32 - 1 means "no change" to the kernel. */
const ID_MAX = 0xfffffffe;
const ROOT = "0" as ByteString;

/** Resolves `User`; empty is root. Throws `invalid-manifest` for a name that the image does not know. */
export function resolveContainerUser(user: ByteString, files: UserFiles): ContainerUser {
  const [name = ROOT, groupName] = (user === "" ? ROOT : user).split(":", 2) as ByteString[];
  const accounts = [...accountsOf(files.passwd)];
  const groups = [...groupsOf(files.group)];
  const number = parseId(name);
  const account = accounts.find((one) =>
    number === undefined ? one.name === name : one.uid === number,
  );
  const uid = number ?? account?.uid;
  if (uid === undefined) throw unknown("user", name, "/etc/passwd");
  const home = account === undefined || account.home === "" ? undefined : account.home;
  if (groupName !== undefined && groupName !== "") {
    const gid = parseId(groupName) ?? groups.find((one) => one.name === groupName)?.gid;
    if (gid === undefined) throw unknown("group", groupName, "/etc/group");
    return { uid, gid, additionalGids: [], home };
  }
  const gid = account?.gid ?? 0;
  const listed =
    account === undefined ? [] : groups.filter((one) => one.members.includes(account.name));
  const additional = new Set(listed.map((one) => one.gid));
  additional.delete(gid);
  return { uid, gid, additionalGids: [...additional].sort((a, b) => a - b), home };
}

function* accountsOf(file: Uint8Array | undefined): Generator<Account, void> {
  for (const [name, , uid, gid, , home] of recordsOf(file)) {
    const ids = [parseId(uid ?? ""), parseId(gid ?? "")] as const;
    if (name === undefined || ids[0] === undefined || ids[1] === undefined) continue;
    yield {
      name: name as ByteString,
      uid: ids[0],
      gid: ids[1],
      home: (home ?? "") as ByteString,
    };
  }
}

function* groupsOf(file: Uint8Array | undefined): Generator<Group, void> {
  for (const [name, , id, members] of recordsOf(file)) {
    const gid = parseId(id ?? "");
    if (name === undefined || gid === undefined) continue;
    yield { name: name as ByteString, gid, members: (members ?? "").split(",") };
  }
}

/** Lines that cannot be read are passed over, as libc does. */
function* recordsOf(file: Uint8Array | undefined): Generator<string[], void> {
  if (file === undefined) return;
  for (const line of byteStringFrom(file).split("\n")) {
    if (line !== "" && !line.startsWith("#")) yield line.split(":");
  }
}

function parseId(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= ID_MAX ? Number(text) : undefined;
}

function unknown(what: string, name: ByteString, file: string): ComposefsError {
  return new ComposefsError(
    "invalid-manifest",
    `Cannot run the image as ${what} "${displayText(name)}": its ${file} has none of that name`,
    { hint: "choose another with --run-as" },
  );
}
