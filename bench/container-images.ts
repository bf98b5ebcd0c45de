/**
 * What the container works pull: five related Debian images and an update of one, in OCI layouts.
 *
 * Two builds of the same base, some minutes of file times apart, as a rebuilt base image is; three images on
 * the first, two on the second, each with packages in a layer of their own. The update is one image of one
 * layer, as zstd:chunked, and the same with three files in a hundred changed.
 *
 * Made by debootstrap, apt, umoci and skopeo, once; about three minutes and 1.5 GB.
 */

import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** The images, by the names that they have in the registry. */
export const RELATED_IMAGES = ["base", "python", "git", "rebuilt-curl", "rebuilt-python"] as const;
export const UPDATE_IMAGES = ["update-old", "update-new"] as const;

const SUITE = "trixie";
/** Every such file of the updated image is another one. */
const CHANGED_EVERY = 33;
const VERSION = "3";

interface Build {
  readonly name: (typeof RELATED_IMAGES)[number];
  readonly base: "first" | "second";
  readonly packages: readonly string[];
}

const BUILDS: readonly Build[] = [
  { name: "base", base: "first", packages: [] },
  { name: "python", base: "first", packages: ["python3"] },
  { name: "git", base: "first", packages: ["git", "perl"] },
  { name: "rebuilt-curl", base: "second", packages: ["curl"] },
  { name: "rebuilt-python", base: "second", packages: ["python3"] },
];

/** Makes the layout with all images unless it is there; `skopeo` is the words that call one. Returns its path. */
export function makeContainerImages(
  work: string,
  skopeo: readonly string[],
  print: (text: string) => void,
): string {
  const directory = join(work, `container-images-${VERSION}`);
  const layout = join(directory, "layout");
  if (existsSync(layout)) return layout;
  print(`\nmaking container images in ${directory} …`);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const making = join(directory, "making");
  run("umoci", "init", "--layout", making);

  const first = join(directory, "first");
  run("debootstrap", "--variant=minbase", SUITE, first);
  const second = join(directory, "second");
  rebuild(first, second);
  const bases = { first, second };
  for (const [base, rootfs] of Object.entries(bases)) addImage(making, base, rootfs, directory);
  for (const build of BUILDS) addPackages(making, build, directory);

  const rootfs = join(directory, "python-bundle", "rootfs");
  addImage(making, "update-plain-old", rootfs, directory);
  changeFiles(rootfs);
  addImage(making, "update-plain-new", rootfs, directory);
  for (const name of UPDATE_IMAGES) {
    const plain = name.replace("update-", "update-plain-");
    const unpacked = `dir:${join(directory, plain)}`;
    const copy = (...args: string[]): void => {
      run(skopeo[0]!, ...skopeo.slice(1), "--insecure-policy", "copy", "--quiet", ...args);
    };
    // What is compressed already would stay as it is.
    copy("--dest-decompress", `oci:${making}:${plain}`, unpacked);
    copy("--dest-compress-format=zstd:chunked", unpacked, `oci:${making}:${name}`);
  }
  for (const name of readdirSync(directory)) {
    if (name !== "making") rmSync(join(directory, name), { recursive: true });
  }
  renameSync(making, layout);
  return layout;
}

/** The same packages, built on another day: what carries a time has another one, and so has its directory. */
function rebuild(from: string, to: string): void {
  run("cp", "-a", from, to);
  const day = "2025-01-02T03:04:05Z";
  run("find", join(to, "etc"), join(to, "var"), "-exec", "touch", "-h", "-d", day, "{}", "+");
  writeFileSync(join(to, "etc/built"), `${day}\n`);
}

/** An image of one layer: a copy of a root file system. */
function addImage(layout: string, name: string, rootfs: string, directory: string): void {
  const bundle = join(directory, `${name}-bundle`);
  run("umoci", "new", "--image", `${layout}:${name}`);
  run("umoci", "unpack", "--image", `${layout}:${name}`, bundle);
  rmSync(join(bundle, "rootfs"), { recursive: true });
  run("cp", "-a", rootfs, join(bundle, "rootfs"));
  run("umoci", "repack", "--image", `${layout}:${name}`, bundle);
}

/** An image on a base, with packages in a layer of their own. */
function addPackages(layout: string, { name, base, packages }: Build, directory: string): void {
  if (packages.length === 0) {
    run("umoci", "tag", "--image", `${layout}:${base}`, name);
    return;
  }
  const bundle = join(directory, `${name}-bundle`);
  const rootfs = join(bundle, "rootfs");
  run("umoci", "unpack", "--image", `${layout}:${base}`, bundle);
  cpSync("/etc/resolv.conf", join(rootfs, "etc/resolv.conf"));
  run("chroot", rootfs, "apt-get", "-qq", "update");
  const options = ["-qq", "--no-install-recommends", "-o", "APT::Sandbox::User=root", "install"];
  run("chroot", rootfs, "apt-get", ...options, ...packages);
  // As Dockerfiles do: what apt has downloaded is of no use in an image.
  const lists = ["var/lib/apt/lists", "var/cache/apt"].map((path) => join(rootfs, path));
  run("find", ...lists, "-type", "f", "-delete");
  run("umoci", "repack", "--image", `${layout}:${name}`, bundle);
}

function changeFiles(rootfs: string): void {
  const options = ["-xdev", "-type", "f", "-size", "+1000c", "-print0"];
  const found = execFileSync("find", [rootfs, ...options], { maxBuffer: 1 << 28 });
  const paths = found.toString("latin1").split("\0").slice(0, -1).sort();
  for (const [index, path] of paths.entries()) {
    if (index % CHANGED_EVERY === 0) appendFileSync(Buffer.from(path, "latin1"), "changed\n");
  }
}

function run(command: string, ...args: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
  execFileSync(command, args, { stdio: ["ignore", "ignore", "inherit"], env });
}
