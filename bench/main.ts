/**
 * `npm run bench`: runs our tools and the peers that this machine has on the same input, in turn, and
 * prints ratios. What it measured here: docs/performance.md.
 *
 *     npm run bench                      a generated tree of 100,000 files, 3 GB (made once, then kept)
 *     npm run bench -- --quick           a tenth of it
 *     npm run bench -- --tree DIR        a real tree
 *     npm run bench -- --only digest,ls  these works only: digest, store-fresh, store-full,
 *                                        dump-to-image, image-to-dump, ls, objects, start, hashing;
 *                                        with --containers: pull, disk, update
 *     npm run bench -- --pairs N         rounds, at least 5 unless you only look (default 5)
 *     npm run bench -- --containers      pulls beside podman: time, disk, bytes of an update (root, Debian)
 *     npm run bench -- --scale           how cost grows from 1,000 to 1,000,000 entries
 *     npm run bench -- --json            for machines
 *     npm run bench -- --work DIR        where the input is kept and the output goes
 */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { testCache } from "../scripts/cache.mjs";
import { ContainerBench } from "./containers.ts";
import { measureHashing } from "./hashing.ts";
import { dumpLines } from "./make-dump.ts";
import { makeTree, writePieces } from "./make-tree.ts";
import { measureHere } from "./measure.ts";
import { runWork } from "./pairs.ts";
import type { WorkResult } from "./pairs.ts";
import { describeTools, findTools } from "./peers.ts";
import type { Tools } from "./peers.ts";
import { formatHashing, formatScale, formatSizes, formatWork } from "./report.ts";
import { measureScale } from "./scale.ts";
import { planTree } from "./tree-plan.ts";
import type { PlanSize } from "./tree-plan.ts";
import { listWorks } from "./works.ts";
import type { Places, Work } from "./works.ts";

const FULL: PlanSize = { files: 100_000, bytes: 3e9 };
const QUICK: PlanSize = { files: 10_000, bytes: 3e8 };
/** Changes when the same size gives another tree: an old one is made anew. */
const PLAN_VERSION = 2;

if (process.argv[2] === "--measure") process.exitCode = measureHere(process.argv[3]!);
else main();

function main(): void {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      tree: { type: "string" },
      only: { type: "string" },
      pairs: { type: "string", default: "5" },
      scale: { type: "boolean", default: false },
      containers: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      work: { type: "string", default: join(testCache(), "bench") },
    },
  });
  const tools = findTools(process.cwd());
  const machine = { ...describeMachine(), ...describeTools(tools) };
  const results: Record<string, unknown> = { machine };
  const print = (text: string): void => {
    if (!values.json) console.log(text);
  };
  for (const [name, value] of Object.entries(machine)) print(`${name.padEnd(10)} ${value}`);

  const only = values.only?.split(",");
  const chosen = (id: string): boolean => only === undefined || only.includes(id);
  mkdirSync(values.work, { recursive: true });
  if (values.scale) {
    const scale = measureScale(tools, values.work, values.quick ? 100_000 : Infinity);
    print(formatScale(scale));
    results["scale"] = scale;
  } else if (values.containers) {
    results["containers"] = measureContainers(
      tools,
      values.work,
      Number(values.pairs),
      chosen,
      print,
    );
  } else {
    const places = prepareInput(values.work, values.quick ? QUICK : FULL, values.tree, print);
    results["works"] = listWorks(tools, places)
      .filter((work) => chosen(work.id))
      .map((work) => runAndPrint(work, Number(values.pairs), print));
    if (chosen("hashing")) {
      const hashing = measureHashing();
      print(formatHashing(hashing));
      results["hashing"] = hashing;
    }
    rmSync(places.scratch, { recursive: true, force: true });
  }
  if (values.json) console.log(JSON.stringify(results, undefined, 2));
}

function measureContainers(
  tools: Tools,
  work: string,
  pairs: number,
  chosen: (id: string) => boolean,
  print: (text: string) => void,
): object {
  const bench = new ContainerBench(tools, work, print);
  try {
    const works = bench.works().filter(({ id }) => chosen(id));
    const timed = works.map((one) => runAndPrint(one, pairs, print));
    const measures = { disk: () => bench.diskUse(), update: () => bench.updateDownload() };
    const wanted = Object.entries(measures).filter(([id]) => chosen(id));
    const sizes = wanted.map(([, measureSize]) => {
      const size = measureSize();
      print(formatSizes(size));
      return size;
    });
    return { works: timed, sizes };
  } finally {
    bench.close();
  }
}

/** A work that fails is told, and makes the bench fail at its end; the others go on. */
function runAndPrint(
  work: Work,
  pairs: number,
  print: (text: string) => void,
): WorkResult | { readonly id: string; readonly failed: string } {
  try {
    const result = runWork(work, pairs);
    print(formatWork(result));
    return result;
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error);
    print(`\n${work.title}\n  ${failed}`);
    process.exitCode = 1;
    return { id: work.id, failed };
  }
}

/** Makes the tree and the dump, unless they are there from an earlier run. */
function prepareInput(
  work: string,
  size: PlanSize,
  realTree: string | undefined,
  print: (text: string) => void,
): Places {
  const input = join(work, `input-${size.files}`);
  const stamp = join(input, "ready");
  const places: Places = {
    tree: realTree ?? join(input, "usr"),
    dump: join(input, "usr.dump"),
    scratch: join(work, "scratch"),
  };
  rmSync(places.scratch, { recursive: true, force: true });
  mkdirSync(places.scratch);
  const key = JSON.stringify({ ...size, version: PLAN_VERSION });
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== key) {
    print(`\nmaking ${size.files} files, ${size.bytes / 1e9} GB, in ${input} …`);
    rmSync(input, { recursive: true, force: true });
    mkdirSync(input, { recursive: true });
    const plan = planTree(size);
    makeTree(plan, join(input, "usr"));
    writePieces(places.dump, dumpLines(plan));
    writeFileSync(stamp, key);
  }
  return places;
}

function describeMachine(): Record<string, string> {
  const [first] = cpus();
  return {
    processor: `${first?.model ?? arch()}, ${cpus().length} processors`,
    memory: `${(totalmem() / 1e9).toFixed(0)} GB`,
    kernel: release(),
  };
}
