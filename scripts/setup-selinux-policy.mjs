/**
 * Gets a real SELinux policy to label trees by: the file contexts of Debian's package
 * `selinux-policy-default`, put together as its installation would, in the test cache. About 10 s once.
 *
 * The package has them in parts, one a policy module; installing it sorts them and fills in the home
 * directories (libsemanage: semanage_fc_sort, genhomedircon). No SELinux is needed for that here.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setUpOnce } from "./cached-setup.mjs";
import { unpackBarePackages } from "./private-apt.mjs";

const SUITE = "trixie";
const POLICY = { what: "SELinux policy", name: "selinux-policy", key: `${SUITE} 1` };

/** Sets the policy up and returns one line that says what was done. Throws where it cannot. */
export function setupSelinuxPolicy() {
  return setUpOnce(POLICY, (work, directory) => {
    const root = join(work, "root");
    unpackBarePackages({ directory, suites: [SUITE], packages: ["selinux-policy-default"], root });
    writePolicy(root, work);
    rmSync(root, { recursive: true });
  });
}

/**
 * @param {string} root
 * @param {string} target
 */
function writePolicy(root, target) {
  const modules = join(root, "usr/share/selinux/default");
  const lines = readdirSync(modules)
    .filter((name) => name.endsWith(".pp.bz2"))
    .sort()
    .flatMap((name) => fileContextsOf(join(modules, name)));
  const isHome = (/** @type {string} */ line) => /HOME_DIR|HOME_ROOT|USER|ROLE/.test(line);
  const homes = lines.filter(isHome).map((line) =>
    line
      .replaceAll("HOME_DIR", "/home/[^/]+")
      .replaceAll("HOME_ROOT", "/home")
      .replaceAll(/%\{USER(NAME|ID)\}/g, "[^/]+")
      .replaceAll("USER", "[^/]+")
      .replaceAll("ROLE", "user"),
  );
  const plain = lines.filter((line) => !isHome(line));
  writeFileSync(join(target, "file_contexts"), `${plain.toSorted(bySpecificity).join("\n")}\n`);
  writeFileSync(join(target, "file_contexts.homedirs"), `${homes.join("\n")}\n`);
  const subs = "file_contexts.subs_dist";
  copyFileSync(join(root, "etc/selinux/default/contexts/files", subs), join(target, subs));
}

/**
 * The file contexts of a policy package (libsepol, module.c): little-endian magic, version, count and
 * offsets of its parts; the part of file contexts begins with a magic of its own.
 *
 * @param {string} path
 */
function fileContextsOf(path) {
  const bytes = execFileSync("bzip2", ["-dc", path], { maxBuffer: 2 ** 28 });
  const count = bytes.readUInt32LE(8);
  const offsets = Array.from({ length: count }, (_, i) => bytes.readUInt32LE(12 + 4 * i));
  for (const [i, offset] of offsets.entries()) {
    if (bytes.readUInt32LE(offset) !== 0xf97cff90) continue;
    const text = bytes.toString("utf8", offset + 4, offsets[i + 1] ?? bytes.length);
    return text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  }
  return [];
}

/**
 * Patterns before plain paths, short before long beginnings, short before long, any type before one.
 *
 * @param {string} a
 * @param {string} b
 */
function bySpecificity(a, b) {
  const left = specificity(a);
  const right = specificity(b);
  return left.map((value, i) => value - (right[i] ?? 0)).find((each) => each !== 0) ?? 0;
}

/** @param {string} line */
function specificity(line) {
  const fields = line.split(/\s+/);
  const pattern = fields[0] ?? "";
  const meta = pattern.search(/[.^$?*+|[({]/);
  return [
    meta === -1 ? 1 : 0,
    meta === -1 ? pattern.length : meta,
    pattern.length,
    fields.length > 2 ? 1 : 0,
  ];
}
