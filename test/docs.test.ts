/**
 * What the documents show is true: commands run, the library tour runs and prints what stands below it, links
 * lead somewhere, byte tables equal the constants.
 *
 * In Markdown, a `sh` block runs in an empty directory with our commands, a `ts` block is compiled and run; a
 * `text` block right behind is what it prints (lines may be cut short). `<!-- needs: root, mount -->` in front
 * names what it needs; `<!-- not run: why -->` leaves it out.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import * as format from "#src/core/erofs/format.ts";
import { needs } from "./support/needs.ts";
import type { Need } from "./support/needs.ts";
import { run } from "./support/run.ts";
import { CHECKOUT } from "./support/shared.ts";
import { tempDir } from "./support/temp.ts";

const documents = [
  ...readdirSync(CHECKOUT).filter((file) => file.endsWith(".md")),
  ...readdirSync(join(CHECKOUT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
].sort();

interface Block {
  readonly language: string;
  readonly code: string;
  readonly needs: readonly string[];
  /** The `text` block behind it. */
  readonly prints: string | undefined;
}

function read(document: string): string {
  return readFileSync(join(CHECKOUT, document), "utf8");
}

function blocksOf(document: string): Block[] {
  const pattern =
    /(?:<!-- (?:needs: (?<needs>[^>]*)|(?<left>not run): [^>]*) -->\s*)?^```(?<language>\w+)\n(?<code>[^]*?)^```$/gm;
  const found = [...read(document).matchAll(pattern)].map((match) => match.groups ?? {});
  return found.map((block, i) => {
    const next = found[i + 1];
    return {
      language: block["left"] === undefined ? (block["language"] ?? "") : "left out",
      code: block["code"] ?? "",
      needs: block["needs"]?.split(",").map((one) => one.trim()) ?? [],
      prints: next?.["language"] === "text" ? next["code"] : undefined,
    };
  });
}

/** Each expected line is the start of a printed one: digests may be cut short. */
function expectPrinted(printed: string, expected: string | undefined): void {
  if (expected === undefined) return;
  const printedLines = printed
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "");
  const lines = expected.trimEnd().split("\n");
  expect(printedLines.map((line, i) => line.slice(0, lines[i]?.length ?? 0))).toEqual(lines);
}

describe.each(documents)("%s", (document) => {
  test("links lead to files that exist", () => {
    const links = [...read(document).matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1]);
    const broken = links.filter(
      (link) => !existsSync(join(CHECKOUT, dirname(document), link ?? "")),
    );
    expect(broken).toEqual([]);
  });

  for (const [index, block] of blocksOf(document).entries()) {
    const conditional = needs(...(block.needs as Need[]));
    if (block.language === "sh") {
      conditional.test(`commands of block ${index + 1} run`, () => {
        const done = run("bash", ["--norc", "-euo", "pipefail", "-c", block.code], {
          cwd: tempDir(),
          env: { PATH: `${join(CHECKOUT, "bin")}:${process.env["PATH"]}` },
        });
        expect(done.stderr).toBe("");
        expect(done.status).toBe(0);
        expectPrinted(done.stdout.toString(), block.prints);
      });
    }
    if (block.language === "ts") {
      conditional.test(`program of block ${index + 1} compiles and prints what is shown`, () => {
        // Inside the checkout, so that it finds the package by its name.
        mkdirSync(join(CHECKOUT, ".cache"), { recursive: true });
        const directory = mkdtempSync(join(CHECKOUT, ".cache", "docs-"));
        try {
          const config = {
            extends: "../../tsconfig.json",
            compilerOptions: {
              noEmit: false,
              rootDir: ".",
              outDir: "out",
              allowImportingTsExtensions: false,
            },
            include: ["*.ts"],
          };
          writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(config));
          writeFileSync(join(directory, "program.ts"), block.code);
          const tsc = join(CHECKOUT, "node_modules/typescript/bin/tsc");
          const compiled = run("node", [tsc, "-p", directory]);
          expect(compiled.stdout.toString()).toBe("");
          const done = run("node", [join(directory, "out/program.js")], { cwd: CHECKOUT });
          expect(done.stderr).toBe("");
          expectPrinted(done.stdout.toString(), block.prints);
        } finally {
          rmSync(directory, { recursive: true });
        }
      });
    }
  }
});

describe("docs/formats/erofs-image.md", () => {
  const tables = read("docs/formats/erofs-image.md")
    .split(/^## /m)
    .flatMap((section) => {
      const name = /^`([A-Z_]+)`/.exec(section)?.[1];
      return name === undefined ? [] : [{ name, section }];
    });

  test.each(tables)("table $name equals the constants of format.ts", ({ name, section }) => {
    const rows = [...section.matchAll(/^\| (\d+) +\| (\d+) +\| (?:`(\w+)`)? +\|/gm)];
    const constants = (format as Record<string, unknown>)[name] as Record<string, number>;
    const documented: Record<string, number> = {};
    let end = 0;
    for (const [, offset, size, field] of rows) {
      expect(Number(offset), `${field} follows the field before it`).toBe(end);
      end = Number(offset) + Number(size);
      if (field !== undefined) documented[field] = Number(offset);
    }
    expect({ ...documented, size: end }).toEqual(constants);
  });
});

describe("npm scripts", () => {
  test("every `npm run` and `npm test` of the documents is in package.json", () => {
    const { scripts } = JSON.parse(read("package.json"));
    const named = documents.flatMap((document) =>
      [...read(document).matchAll(/npm run ([a-z:]+)/g)].map((match) => match[1] ?? ""),
    );
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
