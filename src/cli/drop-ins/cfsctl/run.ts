/**
 * `cfsctl`, as composefs-rs has it: same options, same standard output, same exit status; what is said on
 * standard error is ours.
 *
 * Source of the behaviour: composefs-rs 0.9, crates/composefs-ctl.
 */

import { ComposefsError } from "../../../core/errors.ts";
import { readClap } from "../../command-line/clap.ts";
import type { ClapCall } from "../../command-line/clap.ts";
import { formatHelp } from "../../help/help.ts";
import type { Io } from "../../output/io.ts";
import { BrokenPipe } from "../../output/output.ts";
import { reportFailure } from "../../report.ts";
import type { CommandSpec } from "../../command-line/spec.ts";
import { CFSCTL } from "../../table/cfsctl/cfsctl.ts";
import { versionLine } from "../../version.ts";
import { readSettings } from "./settings.ts";
import type { CfsctlCall } from "./settings.ts";

/** What a module offers: a function for each of its commands. */
type Run = (call: CfsctlCall) => number | Promise<number>;

interface CommandEntry {
  readonly load: () => Promise<Run>;
  /** Works with `--no-repo`, or has its own idea of a repository. */
  readonly withoutRepository?: true;
}

/** The commands by name; a test compares the names with the table. */
export const CFSCTL_COMMANDS: Readonly<Record<string, CommandEntry>> = {
  cat: { load: async () => (await import("./streams.ts")).cat },
  "compute-id": {
    load: async () => (await import("./scan.ts")).computeId,
    withoutRepository: true,
  },
  "compute-karg": {
    load: async () => (await import("./scan.ts")).computeKarg,
    withoutRepository: true,
  },
  "create-dumpfile": {
    load: async () => (await import("./scan.ts")).createDumpfile,
    withoutRepository: true,
  },
  "create-image": { load: async () => (await import("./create-image.ts")).createImage },
  "dump-files": { load: async () => (await import("./images.ts")).dumpFiles },
  fsck: { load: async () => (await import("./fsck.ts")).fsck },
  gc: { load: async () => (await import("./gc.ts")).gc },
  "image-objects": { load: async () => (await import("./images.ts")).imageObjects },
  images: { load: async () => (await import("./images.ts")).images },
  "import-image": { load: async () => (await import("./create-image.ts")).importImage },
  init: { load: async () => (await import("./init.ts")).init, withoutRepository: true },
  mount: { load: async () => (await import("./mount.ts")).mount },
  "oci compute-id": { load: async () => (await import("./oci/rootfs.ts")).computeId },
  "oci copy": { load: async () => (await import("./oci/copy.ts")).copy },
  "oci dump": { load: async () => (await import("./oci/rootfs.ts")).dump },
  "oci fsck": { load: async () => (await import("./oci/fsck.ts")).fsck },
  "oci images": { load: async () => (await import("./oci/images.ts")).images },
  "oci import-layer": { load: async () => (await import("./oci/layers.ts")).importLayer },
  "oci inspect": { load: async () => (await import("./oci/images.ts")).inspect },
  "oci layer": { load: async () => (await import("./oci/layers.ts")).layer },
  "oci mount": { load: async () => (await import("./oci/mount.ts")).mount },
  "oci prepare-boot": { load: async () => (await import("./oci/prepare-boot.ts")).prepareBoot },
  "oci pull": { load: async () => (await import("./oci/pull.ts")).pull },
  "oci tag": { load: async () => (await import("./oci/images.ts")).tag },
  "oci untag": { load: async () => (await import("./oci/images.ts")).untag },
  transaction: { load: async () => (await import("./streams.ts")).transaction },
};

/** Programs that are commands as well. */
const TOOLS: Readonly<Record<string, () => Promise<ToolModule>>> = {
  "composefs-info": () => import("../composefs-info.ts"),
  mkcomposefs: () => import("../mkcomposefs.ts"),
  "mount.composefs": () => import("../mount-composefs.ts"),
};

interface ToolModule {
  run(args: readonly string[], io: Io): number | Promise<number>;
}

/** Runs the command line. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const call = readClap(CFSCTL, args);
  switch (call.kind) {
    case "version":
      io.out.text(versionLine(CFSCTL.name));
      return 0;
    case "help":
      return showHelp(call, io);
    case "pass-on":
      return runTool(call, io);
    case "run":
      return runCommand(call, io);
  }
}

/** Runs another program, which then fails as it does under its own name. */
async function runTool(call: ClapCall & { readonly kind: "pass-on" }, io: Io): Promise<number> {
  try {
    return await (await TOOLS[call.command]!()).run(call.args, io);
  } catch (error) {
    if (error instanceof BrokenPipe) throw error;
    return reportFailure(call.command, error, io);
  }
}

async function runCommand(call: ClapCall & { readonly kind: "run" }, io: Io): Promise<number> {
  const settings = readSettings(call.globals, io);
  const entry = CFSCTL_COMMANDS[call.command]!;
  if (settings.noRepo && entry.withoutRepository !== true) {
    throw new ComposefsError(
      "repository-missing",
      `Cannot run ${call.command} with --no-repo: it needs a repository`,
    );
  }
  const command = await entry.load();
  return command({ settings, invocation: call.invocation, io });
}

/** Help goes to standard output where it was asked for; else something is missing. */
function showHelp(call: ClapCall & { readonly kind: "help" }, io: Io): number {
  const output = call.asked ? io.out : io.err;
  const title = [CFSCTL.name, ...call.words].join(" ");
  output.text(formatHelp(helpSpec(call.words), title, (text) => output.style("bold", text)));
  return call.asked ? 0 : 2;
}

function helpSpec(words: readonly string[]): CommandSpec {
  const name = words.join(" ");
  if (name === "") return CFSCTL;
  const single = CFSCTL.commands.find((one: { name: string }) => one.name === name);
  if (single !== undefined) return single;
  const commands = CFSCTL.commands.filter((one) => one.name.startsWith(`${name} `));
  return {
    ...CFSCTL,
    options: [],
    description: [`The commands of the group ${name}.`],
    commands,
  } as CommandSpec;
}
