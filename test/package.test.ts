/** What the package is to those who install it. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { needsThat } from "./support/needs.ts";
import { run } from "./support/run.ts";
import type { Finished } from "./support/run.ts";
import { CHECKOUT } from "./support/shared.ts";
import { tempDir } from "./support/temp.ts";

const manifest = JSON.parse(readFileSync(join(CHECKOUT, "package.json"), "utf8"));
const lockfile = JSON.parse(readFileSync(join(CHECKOUT, "package-lock.json"), "utf8"));

describe("package.json", () => {
  test("names every dependency by its exact version", () => {
    const versions = Object.values({ ...manifest.dependencies, ...manifest.devDependencies });
    const inexact = versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(String(version)));
    expect(inexact).toEqual([]);
  });

  test("asks for few packages at run time, and they ask for none", () => {
    expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(4);
    for (const name of Object.keys(manifest.dependencies)) {
      expect(lockfile.packages[`node_modules/${name}`].dependencies ?? {}, name).toEqual({});
    }
  });

  test("runs no script on those who install the package", () => {
    const onInstall = ["preinstall", "install", "postinstall", "prepublish", "prepare"];
    expect(onInstall.filter((name) => name in manifest.scripts)).toEqual([]);
  });

  test("exports doors that exist, with their types", () => {
    const targets = Object.values(manifest.exports).flatMap((target) =>
      typeof target === "string" ? [target] : Object.values(target as Record<string, string>),
    );
    expect(targets.filter((target) => !existsSync(join(CHECKOUT, target)))).toEqual([]);
  });

  test("every exported room loads by its name", async () => {
    const subpaths = Object.keys(manifest.exports).filter((path) => path !== "./package.json");
    for (const path of subpaths) {
      const name = `composefs${path.slice(1)}`;
      const exported: object = await import(name);
      expect(Object.keys(exported).length, name).toBeGreaterThan(0);
    }
  });

  test("package-lock.json says nothing about where packages come from", () => {
    const located = Object.entries<{ resolved?: string }>(lockfile.packages)
      .filter(([, entry]) => entry.resolved !== undefined)
      .map(([path]) => path);
    expect(located).toEqual([]);
  });
});

const reachesNpm = (): string | undefined => {
  // Asked once, with the package that installing ours needs.
  const asked = run("npm", ["view", `koffi@${manifest.dependencies.koffi}`, "version"]);
  return asked.status === 0 ? undefined : "needs the npm registry, to install the packed package";
};

needsThat(reachesNpm()).describe("the packed package", () => {
  const directory = tempDir();
  const doors = Object.keys(manifest.exports)
    .filter((path) => path !== "./package.json")
    .map((path) => `composefs${path.slice(1)}`);
  let contents: string[] = [];

  beforeAll(() => {
    const packed = mustRun("npm", ["pack", "--json", "--pack-destination", directory], CHECKOUT);
    const [{ filename, files }] = JSON.parse(packed.stdout.toString());
    contents = files.map((file: { path: string }) => file.path);
    writeFileSync(join(directory, "package.json"), '{ "private": true }\n');
    const tarball = join(directory, filename);
    mustRun("npm", ["install", "--ignore-scripts", "--prefer-offline", tarball], directory);
  }, 120_000);

  test("holds what runs, what documents it, and nothing else", () => {
    const allowed =
      /^(?:bin|dist|native|docs)\/|^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
    expect(contents.filter((path) => !allowed.test(path))).toEqual([]);
    for (const needed of ["LICENSE", "README.md", "dist/mod.js", "dist/mod.d.ts"]) {
      expect(contents).toContain(needed);
    }
  });

  test("holds no module whose source is gone: an old dist is not packed", () => {
    const modules = contents.filter((path) => /^dist\/.*\.js$/.test(path));
    const sources = modules.map((path) => path.replace(/^dist(.*)js$/, "src$1ts"));
    expect(sources.filter((path) => !existsSync(join(CHECKOUT, path)))).toEqual([]);
  });

  test("exports the library to a program beside it, by every door", () => {
    const names = doors.map((name) => `typeof (await import("${name}"))`).join(", ");
    const program = `console.log([${names}].join());`;
    const done = run("node", ["--input-type=module", "--eval", program], { cwd: directory });
    expect(done).toMatchObject({ status: 0, stderr: "" });
    expect(done.stdout.toString()).toBe(`${doors.map(() => "object").join()}\n`);
  });

  test("is understood by TypeScript, and the formats without the types of Node", () => {
    const imports = (names: readonly string[]): string =>
      names.map((name, i) => `export * as door${i} from "${name}";\n`).join("");
    const typeRoots = [join(CHECKOUT, "node_modules/@types")];
    expect(compile("all", imports(doors), { types: ["node"], typeRoots })).toBe("");
    expect(compile("core", imports(["composefs/core"]), { types: [] })).toBe("");
  });

  test("brings every command by its name: from a dump to an image and back", () => {
    const dump = "/ 0 40755 2 0 0 0 0.0 - - -\n/file 2 100644 1 0 0 0 0.0 - hi -\n";
    const made = command("mkcomposefs", ["--from-file", "-", "image"], dump);
    expect(made).toMatchObject({ status: 0, stderr: "" });
    expect(command("composefs-dump", ["image", "again"])).toMatchObject({ status: 0, stderr: "" });
    expect(readFileSync(join(directory, "again"))).toEqual(readFileSync(join(directory, "image")));
    expect(command("composefs-info", ["ls", "image"])).toMatchObject({ status: 0, stderr: "" });
    expect(command("composefs", ["ls", "image"])).toMatchObject({ status: 0, stderr: "" });
    expect(command("mount.composefs", []).status).toBe(1);
  });

  test("runs every command of package.json", () => {
    for (const name of Object.keys(manifest.bin)) {
      const done = command(name, ["--help"]);
      expect(`${done.stdout}${done.stderr}`, name).toMatch(/\buse:|usage:/i);
    }
  });

  /** What the compiler has against a module, with every check that a project can ask for. */
  function compile(name: string, content: string, types: object): string {
    const compilerOptions = {
      module: "nodenext",
      target: "es2022",
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      ...types,
    };
    writeFileSync(join(directory, `${name}.mts`), content);
    const config = JSON.stringify({ compilerOptions, files: [`${name}.mts`] });
    writeFileSync(join(directory, `${name}.json`), config);
    const tsc = join(CHECKOUT, "node_modules/.bin/tsc");
    return run(tsc, ["--project", `${name}.json`], { cwd: directory }).stdout.toString();
  }

  function command(name: string, args: readonly string[], stdin = ""): Finished {
    return run(join(directory, "node_modules/.bin", name), args, { cwd: directory, stdin });
  }
});

function mustRun(name: string, args: readonly string[], cwd: string): Finished {
  const done = run(name, args, { cwd });
  if (done.status !== 0) throw new Error(`${name} ${args.join(" ")} failed: ${done.stderr}`);
  return done;
}
