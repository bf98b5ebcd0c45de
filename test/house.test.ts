/** The plan of the house: imports only point down, and `core` is pure. */

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "vitest";
import { run } from "./support/run.ts";
import { CHECKOUT } from "./support/shared.ts";

const SRC = join(CHECKOUT, "src");

/** What each room may import, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  floor: [],
  mount: ["core", "floor"],
  store: ["mount", "core", "floor"],
  sources: ["store", "core", "floor"],
  host: ["sources", "store", "mount", "core", "floor"],
  cli: ["host", "sources", "store", "mount", "core", "floor"],
};

/** The package's own door lies above all rooms. */
const ROOF = "mod.ts";

interface Import {
  readonly from: string;
  /** A path below src, or a package name. */
  readonly to: string;
}

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .sort();
const imports = files.flatMap(importsOf);

/** Type imports count: a type that points up is a plan that points up. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), "utf8");
  const pattern =
    /^(?:import|export)\s[^"';]*?from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  return [...text.matchAll(pattern)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? "";
    const to = specifier.startsWith(".")
      ? relative(SRC, join(SRC, file, "..", specifier))
      : specifier;
    return { from: file, to };
  });
}

function roomOf(file: string): string {
  return file.split("/")[0] ?? "";
}

/** How the door of a room comes to this import: `core/mod.ts -> core/x.ts -> node:fs`. */
function chain(offence: Import): string {
  const door = `${roomOf(offence.from)}/mod.ts`;
  const cameFrom = new Map<string, string>();
  const queue = [door];
  for (const at of queue) {
    for (const { from, to } of imports) {
      if (from === at && !cameFrom.has(to) && to !== door) {
        cameFrom.set(to, at);
        queue.push(to);
      }
    }
  }
  const path = [offence.from];
  for (let at = cameFrom.get(offence.from); at !== undefined; at = cameFrom.get(at))
    path.unshift(at);
  return [...path, offence.to].join(" -> ");
}

test("house: every file lies in a room of the plan", () => {
  const homeless = files.filter((file) => file !== ROOF && MAY_IMPORT[roomOf(file)] === undefined);
  expect(homeless).toEqual([]);
});

test("house: imports only point down", () => {
  const upward = imports.filter(({ from, to }) => {
    if (!files.includes(to) || from === ROOF) return false;
    const room = roomOf(from);
    return roomOf(to) !== room && !MAY_IMPORT[room]?.includes(roomOf(to));
  });
  expect(upward.map(chain)).toEqual([]);
});

test("house: every relative import names a file of src", () => {
  const isRelative = ({ to }: Import): boolean => to.endsWith(".ts");
  const dangling = imports.filter((one) => isRelative(one) && !files.includes(one.to));
  expect(dangling.map(chain)).toEqual([]);
});

test("house: core imports nothing but itself", () => {
  const outward = imports.filter(
    ({ from, to }) => roomOf(from) === "core" && roomOf(to) !== "core",
  );
  expect(outward.map(chain)).toEqual([]);
});

test("house: core compiles without Node's types, so it uses none of Node's globals", () => {
  const done = run("node", ["node_modules/typescript/bin/tsc", "-p", "tsconfig.core.json"], {
    cwd: CHECKOUT,
  });
  expect(done.stdout.toString()).toBe("");
  expect(done.status).toBe(0);
});

test("house: only floor calls the C library", () => {
  const elsewhere = imports.filter(({ from, to }) => to === "koffi" && roomOf(from) !== "floor");
  expect(elsewhere.map(chain)).toEqual([]);
});

test("house: no enum, namespace, decorator or default export", () => {
  const forbidden =
    /^\s*(?:export\s+)?(?:const\s+)?(?:enum|namespace)\s+\w|^\s*@\w+|^export default\b/m;
  const guilty = files.filter((file) => forbidden.test(withoutComments(file)));
  expect(guilty).toEqual([]);
});

function withoutComments(file: string): string {
  return readFileSync(join(SRC, file), "utf8").replace(/\/\*[^]*?\*\//g, "");
}
