/** What is measured: for each work the commands that do it, ours first. */

import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "./measure.ts";
import type { Tools } from "./peers.ts";

/** One of those who do the same work. */
export interface Contestant {
  readonly name: string;
  readonly command: Command;
  /** Puts things back to where they were; not measured. */
  readonly before?: () => void;
}

/** Something to do, and who does it. */
export interface Work {
  readonly id: string;
  readonly title: string;
  /** The ratio that we want to reach or beat, by the peer's name. */
  readonly goals: Readonly<Record<string, number>>;
  readonly contestants: readonly Contestant[];
  /** Short works are run more often; 1 unless told. */
  readonly pairsFactor?: number;
  /** Writes so much that a run only to warm the caches would cost more than it tells. */
  readonly writesMuch?: boolean;
}

/** Where the input lies and the output goes. */
export interface Places {
  readonly tree: string;
  readonly dump: string;
  readonly scratch: string;
}

/** Lists the works that can be done with the tools that were found. */
export function listWorks(tools: Tools, places: Places): Work[] {
  const works = [
    digestOfTree(tools, places),
    ...objectStores(tools, places),
    ...dumpsAndImages(tools, places),
    startUp(tools),
  ];
  return works.filter((work) => work.contestants.length > 1);
}

function digestOfTree({ ours, c, cfsctl }: Tools, { tree }: Places): Work {
  const args = ["--print-digest-only", tree];
  return {
    id: "digest",
    title: "digest of the tree only",
    goals: { C: 0.35 },
    contestants: [
      { name: "ours", command: { argv: [...ours("mkcomposefs"), ...args] } },
      ...optional(c, (tool) => ({
        name: "C",
        command: { argv: [...tool("mkcomposefs"), ...args] },
      })),
      ...optional(cfsctl, (tool) => ({
        name: "cfsctl",
        command: {
          argv: [
            ...tool,
            ...["--no-repo", "--hash", "sha256", "compute-id", "--no-propagate-usr-to-root", tree],
          ],
        },
      })),
    ],
  };
}

function objectStores(tools: Tools, places: Places): Work[] {
  const stores = [
    storeByMkcomposefs("ours", tools.ours, places),
    ...optional(tools.c, (tool) => storeByMkcomposefs("C", tool, places)),
    ...optional(tools.cfsctl, (tool) => storeByCfsctl(tool, places)),
  ];
  const copy = join(places.scratch, "copy");
  return [
    {
      id: "store-fresh",
      title: "into a fresh object store",
      goals: { C: 0.5, "cp -a": 1.1 },
      writesMuch: true,
      contestants: [
        ...stores.map(({ name, command, path, initialise }): Contestant => {
          const before = (): void => {
            removeAndSync(path);
            initialise?.();
          };
          return { name, command, before };
        }),
        {
          name: "cp -a",
          command: { argv: ["/bin/cp", "-a", places.tree, copy] },
          before: () => removeAndSync(copy),
        },
      ],
    },
    {
      id: "store-full",
      title: "into a store that has every object",
      goals: { C: 0.5 },
      contestants: stores.map(({ name, command, path, initialise }): Contestant => {
        const before = (): void => {
          if (existsSync(path)) return;
          initialise?.();
          spawnSync(command.argv[0]!, command.argv.slice(1), { stdio: "ignore" });
          spawnSync("sync");
        };
        return { name, command, before };
      }),
    },
  ];
}

/** Who fills an object store at `path`, and what makes an empty one if a directory is not enough. */
interface StoreFiller {
  readonly name: string;
  readonly command: Command;
  readonly path: string;
  readonly initialise?: () => void;
}

function storeByMkcomposefs(
  name: string,
  tool: (name: string) => readonly string[],
  { tree, scratch }: Places,
): StoreFiller {
  const path = join(scratch, `store-${name}`);
  const image = join(scratch, `${name}.cfs`);
  return {
    name,
    command: { argv: [...tool("mkcomposefs"), `--digest-store=${path}`, tree, image] },
    path,
  };
}

function storeByCfsctl(tool: readonly string[], { tree, scratch }: Places): StoreFiller {
  const path = join(scratch, "store-cfsctl");
  const args = ["--repo", path, "create-image", "--no-propagate-usr-to-root", tree];
  const init = ["init", "--insecure", "--algorithm", "fsverity-sha256-12", path];
  return {
    name: "cfsctl",
    command: { argv: [...tool, ...args] },
    path,
    initialise: () => void spawnSync(tool[0]!, init, { stdio: "ignore" }),
  };
}

function dumpsAndImages({ ours, c }: Tools, { dump, scratch }: Places): Work[] {
  const image = join(scratch, "dump.cfs");
  const both = (
    name: string,
    command: (words: readonly string[], who: string) => Command,
  ): Contestant[] => [
    { name: "ours", command: command(ours(name), "ours") },
    ...optional(c, (tool) => ({ name: "C", command: command(tool(name), "C") })),
  ];
  const imageFromDump = (tool: readonly string[], path: string): readonly string[] => [
    ...tool,
    "--from-file",
    dump,
    path,
  ];
  const needsImage = (one: Contestant): Contestant => ({
    ...one,
    before: () => {
      if (existsSync(image)) return;
      const [program, ...args] = imageFromDump((c ?? ours)("mkcomposefs"), image);
      spawnSync(program!, args, { stdio: "inherit" });
    },
  });
  const info = (id: string, title: string, verb: string, goals: Record<string, number>): Work => ({
    id,
    title,
    goals,
    contestants: both("composefs-info", (tool, who) => ({
      argv: [...tool, verb, image],
      stdoutPath: join(scratch, `${who}.${verb}`),
    })).map((one) => needsImage(one)),
  });
  return [
    {
      id: "dump-to-image",
      title: "dump to image",
      goals: { C: 1 },
      contestants: both("mkcomposefs", (tool, who) => ({
        argv: imageFromDump(tool, join(scratch, `${who}-from-dump.cfs`)),
      })),
    },
    info("image-to-dump", "image to dump", "dump", { C: 1 }),
    info("ls", "composefs-info ls", "ls", {}),
    info("objects", "composefs-info objects", "objects", {}),
  ];
}

function startUp({ ours }: Tools): Work {
  return {
    id: "start",
    title: "composefs --version",
    goals: { "node -e 0": 1.3 },
    contestants: [
      { name: "ours", command: { argv: [...ours("composefs"), "--version"] } },
      { name: "node -e 0", command: { argv: [process.execPath, "-e", "0"] } },
    ],
    pairsFactor: 4,
  };
}

function removeAndSync(path: string): void {
  rmSync(path, { recursive: true, force: true });
  spawnSync("sync");
}

function optional<Tool, Made>(tool: Tool | undefined, make: (tool: Tool) => Made): readonly Made[] {
  return tool === undefined ? [] : [make(tool)];
}
