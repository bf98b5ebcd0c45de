/**
 * From an image's config to the `config.json` of an OCI runtime bundle: what crun and runc read.
 *
 * The defaults are those of container engines: namespaces of its own, the usual fourteen capabilities
 * less the three that reach for the host, `/proc` and `/sys` without what tells about the host or changes it. The
 * network is left to the caller: a namespace with nothing in it unless told.
 *
 * Source: OCI image-spec 1.1, conversion.md; OCI runtime-spec 1.2, config.md and config-linux.md.
 */

import { ComposefsError } from "../errors.ts";
import type { ContainerUser } from "./container-user.ts";
import type { RunConfig } from "./image-config.ts";

/** What the caller decides about a container. */
export interface RuntimeOptions {
  /** Instead of the image's command. */
  readonly args?: readonly string[];
  /** `NAME=value`; wins over the image's. */
  readonly env?: readonly string[];
  readonly hostname?: string;
  /** Whether the process has a terminal. */
  readonly terminal: boolean;
  /** Whether the root file system refuses writes. */
  readonly readOnlyRoot: boolean;
  /** `none` unless told: a namespace of its own with a loopback device that is down. */
  readonly network?: "none" | "host";
}

/** A bundle's `config.json`, as far as we write it. */
export interface RuntimeConfig {
  readonly ociVersion: string;
  readonly process: {
    readonly terminal: boolean;
    readonly user: {
      readonly uid: number;
      readonly gid: number;
      readonly additionalGids?: readonly number[];
    };
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly capabilities: Readonly<Record<string, readonly string[]>>;
    readonly noNewPrivileges: boolean;
  };
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly mounts: readonly RuntimeMount[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: {
    readonly namespaces: readonly { readonly type: string }[];
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly resources: {
      readonly devices: readonly { readonly allow: boolean; readonly access: string }[];
    };
  };
}

interface RuntimeMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

const OCI_VERSION = "1.0.2";

const CAPABILITIES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
] as const;

const NO_PROGRAMS = ["nosuid", "noexec", "nodev"] as const;

const MOUNTS: readonly RuntimeMount[] = [
  mount("/proc", "proc", "proc", NO_PROGRAMS),
  mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
  mount("/dev/pts", "devpts", "devpts", [
    "nosuid",
    "noexec",
    "newinstance",
    "ptmxmode=0666",
    "mode=0620",
    "gid=5",
  ]),
  mount("/dev/shm", "tmpfs", "shm", [...NO_PROGRAMS, "mode=1777", "size=65536k"]),
  mount("/dev/mqueue", "mqueue", "mqueue", NO_PROGRAMS),
  mount("/sys", "sysfs", "sysfs", [...NO_PROGRAMS, "ro"]),
  mount("/sys/fs/cgroup", "cgroup", "cgroup", [...NO_PROGRAMS, "relatime", "ro"]),
];

const MASKED_PATHS = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
  "/sys/fs/selinux",
] as const;

const READ_ONLY_PATHS = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
] as const;

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Makes the config of a bundle whose root file system is at `rootfs`. Throws `invalid-manifest`. */
export function runtimeConfig(
  image: RunConfig,
  user: ContainerUser,
  options: RuntimeOptions,
): RuntimeConfig {
  const { uid, gid, additionalGids } = user;
  const capabilities = [...CAPABILITIES];
  const kept = uid === 0 ? capabilities : [];
  return {
    ociVersion: OCI_VERSION,
    process: {
      terminal: options.terminal,
      user: { uid, gid, ...(additionalGids.length === 0 ? {} : { additionalGids }) },
      args: commandOf(image, options.args),
      env: environmentOf(image, user, options),
      cwd: workingDirOf(image),
      capabilities: {
        bounding: capabilities,
        effective: kept,
        permitted: kept,
        inheritable: [],
        ambient: [],
      },
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: options.readOnlyRoot },
    ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
    mounts: MOUNTS,
    annotations: annotationsOf(image),
    linux: {
      namespaces: namespacesOf(options).map((type) => ({ type })),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READ_ONLY_PATHS,
      resources: { devices: [{ allow: false, access: "rwm" }] },
    },
  };
}

/** What is run: given arguments take the place of `Cmd`, and stay behind `Entrypoint`. */
function commandOf(image: RunConfig, args: readonly string[] | undefined): readonly string[] {
  const command = [...image.entrypoint, ...(args ?? image.cmd)];
  if (command.length === 0 || command[0] === "") {
    throw new ComposefsError("invalid-manifest", "Cannot run the image: it names no command", {
      hint: "give the command after the directory",
    });
  }
  return command;
}

function environmentOf(
  image: RunConfig,
  user: ContainerUser,
  options: RuntimeOptions,
): readonly string[] {
  const variables = new Map<string, string>();
  const defaults = [DEFAULT_PATH, ...(options.terminal ? ["TERM=xterm"] : [])];
  // JSON is text: a directory that is not is left for the container to find out.
  if (user.home !== undefined && /^[\x20-\x7e]+$/.test(user.home)) {
    defaults.push(`HOME=${user.home}`);
  }
  for (const variable of [...defaults, ...image.env, ...(options.env ?? [])]) {
    variables.set(variable.split("=", 1)[0]!, variable);
  }
  return [...variables.values()];
}

function workingDirOf({ workingDir }: RunConfig): string {
  if (workingDir === "") return "/";
  return workingDir.startsWith("/") ? workingDir : `/${workingDir}`;
}

function annotationsOf(image: RunConfig): Readonly<Record<string, string>> {
  const stop =
    image.stopSignal === undefined
      ? {}
      : { "org.opencontainers.image.stopSignal": image.stopSignal };
  return { ...image.labels, ...stop };
}

function namespacesOf({ network }: RuntimeOptions): string[] {
  const own = ["pid", "ipc", "uts", "mount", "cgroup"];
  return network === "host" ? own : [...own, "network"];
}

function mount(
  destination: string,
  type: string,
  source: string,
  options: readonly string[],
): RuntimeMount {
  return { destination, type, source, options };
}
