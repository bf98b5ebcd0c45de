/**
 * The container works: `composefs pull` beside `podman pull` (overlay, root), from one registry on loopback.
 *
 * Each run has a file system of its own, new: ext4 does not use the inodes of files that were just removed
 * again, and looks for others longer and longer.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findPeers } from "../test/support/peers.ts";
import { oracleCommand } from "../test/support/oracle.ts";
import { makeContainerImages, RELATED_IMAGES, UPDATE_IMAGES } from "./container-images.ts";
import { Registry } from "./registry.ts";
import type { Tools } from "./peers.ts";
import type { Work } from "./works.ts";

const DISK_SIZE = "6G";
/** The image whose pull is timed: two layers, a base and packages. */
const TIMED = "python";

/** Bytes of one contestant, and the ratio that we want. */
export interface SizeResult {
  readonly id: string;
  readonly title: string;
  readonly ours: number;
  readonly peers: Readonly<Record<string, number>>;
  readonly goal: number;
}

/** Pulls with one tool into one place. */
interface Puller {
  readonly name: string;
  /** Makes its place ready, on a new file system. */
  prepare(): void;
  pull(image: string): readonly string[];
}

/** A registry with the images, and who pulls from it. End it with `close`. */
export class ContainerBench {
  readonly #scratch: string;
  readonly #registry: Registry;
  readonly #pullers: readonly Puller[];

  /** Throws where a tool is missing. */
  constructor(tools: Tools, work: string, print: (text: string) => void) {
    const root = findPeers();
    if (root === undefined) throw new Error("podman is not there: run `npm run setup:peers`");
    const skopeo = oracleCommand(root, "skopeo");
    const layout = makeContainerImages(work, skopeo, print);
    this.#scratch = join(work, "container-scratch");
    rmSync(this.#scratch, { recursive: true, force: true });
    mkdirSync(this.#scratch, { recursive: true });
    this.#registry = Registry.start(join(work, "registry"));
    for (const name of [...RELATED_IMAGES, ...UPDATE_IMAGES]) {
      const options = ["--quiet", "--insecure-policy", "--dest-tls-verify=false"];
      const [command, ...words] = skopeo;
      const to = `docker://${this.#registry.host}/${name}`;
      run([command!, ...words, "copy", ...options, `oci:${layout}:${name}`, to]);
    }
    const podman = chrooted(root, this.#scratch);
    this.#pullers = [
      this.#composefs("ours", tools.ours("composefs")),
      this.#podman("podman", podman, {}),
      this.#podman("podman partial", podman, {
        enable_partial_images: "true",
        use_hard_links: "true",
      }),
    ];
  }

  /** The timed works. */
  works(): Work[] {
    const contestants = this.#pullers.slice(0, 2).map((puller) => ({
      name: puller.name,
      command: { argv: puller.pull(TIMED) },
      before: () => this.#renew(puller),
    }));
    const title = "pull of an image until it can be used";
    return [{ id: "pull", title, goals: { podman: 0.7 }, contestants, writesMuch: true }];
  }

  /** Bytes on disk after pulling five related images. */
  diskUse(): SizeResult {
    const [ours, podman] = this.#pullers.slice(0, 2).map((puller) => {
      this.#renew(puller);
      for (const image of RELATED_IMAGES) run(puller.pull(image));
      const used = spawnSync("du", ["-s", "--block-size=1", this.#mount(puller)]);
      return Number(used.stdout.toString().split("\t")[0]);
    });
    const title = "disk used by five related images";
    return { id: "disk", title, ours: ours!, peers: { podman: podman! }, goal: 0.6 };
  }

  /** Bytes that the registry sends for a small update, the older image being there. */
  updateDownload(): SizeResult {
    const [before, after] = UPDATE_IMAGES;
    const sizes = this.#pullers.map((puller) => {
      this.#renew(puller);
      run(puller.pull(before));
      return [puller.name, this.#registry.sentDuring(() => run(puller.pull(after)))] as const;
    });
    const [[, ours], ...peers] = sizes as [
      readonly [string, number],
      ...(readonly [string, number])[],
    ];
    const title = "bytes downloaded for an update of 3 files in 100 (zstd:chunked)";
    return { id: "update", title, ours, peers: Object.fromEntries(peers), goal: 0.3 };
  }

  close(): void {
    this.#registry.stop();
    for (const puller of this.#pullers) this.#unmount(puller);
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  #composefs(name: string, words: readonly string[]): Puller {
    const repo = (): string => join(this.#scratch, name, "repo");
    return {
      name,
      prepare: () => run([...words, "repo", "init", "--verity=missing-allowed", repo()]),
      pull: (image) => [
        ...[...words, "pull", "--quiet", "--tls-verify=false", "--repo", repo()],
        `docker://${this.#registry.host}/${image}`,
        image,
      ],
    };
  }

  #podman(name: string, words: readonly string[], pullOptions: Record<string, string>): Puller {
    const place = (): string => join(this.#scratch, name);
    const conf = join(this.#scratch, `${name.replace(" ", "-")}.conf`);
    const options = Object.entries(pullOptions).map(([key, value]) => `${key} = "${value}"`);
    return {
      name,
      prepare: () => {
        const pull = options.length === 0 ? [] : ["[storage.options.pull_options]", ...options];
        const roots = [`graphroot = "${place()}/root"`, `runroot = "${place()}/run"`];
        const lines = ["[storage]", 'driver = "overlay"', ...roots, ...pull];
        writeFileSync(conf, `${lines.join("\n")}\n`);
      },
      pull: (image) => [
        ...["env", `CONTAINERS_STORAGE_CONF=${conf}`, "PODMAN_IGNORE_CGROUPSV1_WARNING=1"],
        ...[...words, "/usr/bin/podman"],
        ...["pull", "--quiet", "--tls-verify=false", `docker://${this.#registry.host}/${image}`],
      ],
    };
  }

  #mount(puller: Puller): string {
    return join(this.#scratch, puller.name);
  }

  /** A new file system for a puller. */
  #renew(puller: Puller): void {
    this.#unmount(puller);
    const mount = this.#mount(puller);
    const disk = `${mount}.disk`;
    mkdirSync(mount, { recursive: true });
    run(["truncate", "--size", DISK_SIZE, disk]);
    const options = ["-E", "lazy_itable_init=0,lazy_journal_init=0"];
    run(["mkfs.ext4", "-q", ...options, disk]);
    run(["mount", "-o", "loop", disk, mount]);
    rmSync(join(mount, "lost+found"), { recursive: true });
    puller.prepare();
    run(["sync", "-f", mount]);
  }

  #unmount(puller: Puller): void {
    const mount = this.#mount(puller);
    // podman leaves a mount of its own on its storage.
    spawnSync("umount", ["--recursive", mount], { stdio: "ignore" });
    rmSync(`${mount}.disk`, { force: true });
    if (existsSync(mount)) rmSync(mount, { recursive: true });
  }
}

/**
 * Begins a command that runs in the root directory of the peers, with the machine's devices and one directory:
 * podman unpacks layers in a process of its own, which it finds by its name.
 */
function chrooted(root: string, directory: string): readonly string[] {
  const script = [
    "set -e",
    'mount --rbind "$1" "$1"',
    'for name in dev proc sys; do mkdir -p "$1/$name"; mount --rbind "/$name" "$1/$name"; done',
    'mkdir -p "$1/tmp" "$1/var/tmp" "$1/$2"',
    'mount --rbind "$2" "$1/$2"',
    'root=$1; shift 2; exec chroot "$root" "$@"',
  ];
  return ["unshare", "--mount", "sh", "-c", script.join("; "), "sh", root, directory];
}

function run(argv: readonly string[]): void {
  execFileSync(argv[0]!, argv.slice(1), { stdio: ["ignore", "ignore", "inherit"] });
}
