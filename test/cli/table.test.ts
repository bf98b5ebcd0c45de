/** The tables of the commands, and what is made of them: help, man pages, completions. */

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { COMPLETION_SHELLS } from "#src/cli/completion/mod.ts";
import { CFSCTL_COMMANDS } from "#src/cli/drop-ins/cfsctl/run.ts";
import { formatHelp } from "#src/cli/help/help.ts";
import { formatManPage } from "#src/cli/help/man.ts";
import type { CommandSpec } from "#src/cli/command-line/spec.ts";
import { CFSCTL } from "#src/cli/table/cfsctl/cfsctl.ts";
import { PROGRAMS } from "#src/cli/table/mod.ts";
import { COMMAND_MODULES } from "#src/cli/umbrella.ts";
import { VERSION } from "#src/cli/version.ts";
import { needs } from "../support/needs.ts";
import { tempDir } from "../support/temp.ts";

/** Every command with what is typed before its options. */
const COMMANDS: readonly { readonly title: string; readonly spec: CommandSpec }[] =
  PROGRAMS.flatMap((program) => [
    { title: program.name, spec: program },
    ...(program.commands ?? []).map((spec) => ({ title: `${program.name} ${spec.name}`, spec })),
  ]);

const root = (path: string) => new URL(`../../${path}`, import.meta.url);

describe.each(COMMANDS)("$title", ({ spec }) => {
  test("no option has a name that another one has", () => {
    const names = spec.options.flatMap(({ name, short }) => [name, short]);
    const given = names.filter((name) => name !== undefined);
    expect(new Set(given).size).toBe(given.length);
  });

  test("briefs are one line without a full stop, descriptions whole sentences", () => {
    for (const brief of [spec.brief, ...spec.options.map((option) => option.brief)]) {
      expect(brief).toMatch(/^[^\n]+[^.\n]$/);
    }
    for (const text of spec.description) expect(text).toMatch(/^[^\n]+\.$/);
  });

  test("has examples that begin with a command of ours, with options that exist", () => {
    expect(spec.examples.length).toBeGreaterThan(0);
    for (const { command } of spec.examples) {
      expect(command).toMatch(/composefs|cfsctl/);
      for (const part of command.split(/[|&()]/)) checkOptions(part.trim());
    }
  });
});

/** Checks the options of a command line against the table, if the command is one of ours. */
function checkOptions(line: string): void {
  const words = line.split(" ");
  const program = PROGRAMS.find(({ name }) => name === words[0]);
  if (program === undefined) return;
  const named = (program.commands ?? []).filter(({ name }) => ` ${line} `.includes(` ${name} `));
  const longest = named.sort((a, b) => b.name.length - a.name.length)[0] ?? program;
  const spec = program.commands?.find(({ name }) => name === words[1]) ?? longest;
  // Options of the program may stand before its command.
  const names = [...program.options, ...spec.options].map(({ name }) => name);
  for (const word of words) {
    const option = /^--([a-z-]+)/.exec(word)?.[1];
    if (option !== undefined) expect(names, line).toContain(option);
  }
}

test("every command of composefs has a module, and no module is without a command", () => {
  const umbrella = PROGRAMS.find(({ name }) => name === "composefs")!;
  const names = umbrella.commands!.map(({ name }) => name);
  expect(Object.keys(COMMAND_MODULES).sort()).toEqual(names.sort());
});

test("every command of cfsctl has a module, and no module is without a command", () => {
  const names = CFSCTL.commands.map(({ name }) => name);
  expect(Object.keys(CFSCTL_COMMANDS).sort()).toEqual(names.sort());
});

test("the version is that of package.json, and its programs are those of the tables", () => {
  const manifest = JSON.parse(readFileSync(root("package.json"), "utf8"));
  expect(VERSION).toBe(manifest.version);
  expect(Object.keys(manifest.bin).sort()).toEqual(PROGRAMS.map(({ name }) => name).sort());
});

test("the command line reference: no help text changes unseen", async () => {
  const pages = COMMANDS.map(({ title, spec }) => formatHelp(spec, title));
  await expect(pages.join(`\n${"-".repeat(80)}\n\n`)).toMatchFileSnapshot("reference.txt");
});

describe("docs/man", () => {
  test("is up to date with the tables: `npm run man` writes it", () => {
    for (const program of PROGRAMS) {
      const page = readFileSync(root(`docs/man/${program.name}.${program.manual}`), "utf8");
      expect(page === formatManPage(program), program.name).toBe(true);
    }
  });

  test("the page of the dump format, which is written by hand, names this version", () => {
    const page = readFileSync(root("docs/man/composefs-dump.5"), "utf8");
    expect(page).toContain(`"composefs ${VERSION}"`);
  });

  test("package.json names every page, for npm to install", () => {
    const pages = readdirSync(root("docs/man/")).map((name) => `docs/man/${name}`);
    const manifest = JSON.parse(readFileSync(root("package.json"), "utf8"));
    expect(new Set(manifest.man)).toEqual(new Set(pages));
  });

  needs("man").test("mandoc finds nothing to complain about", () => {
    const directory = root("docs/man/").pathname;
    const pages = readdirSync(directory).map((name) => join(directory, name));
    const done = spawnSync("mandoc", ["-T", "lint", "-W", "warning", ...pages]);
    expect(done.stdout.toString()).toBe("");
  });
});

describe("completions", () => {
  function script(shell: keyof typeof COMPLETION_SHELLS): string {
    const path = join(tempDir(), `completion.${shell}`);
    writeFileSync(path, COMPLETION_SHELLS[shell](PROGRAMS));
    return path;
  }

  /** What bash offers for the last of the words. */
  function bashReply(path: string, words: readonly string[]): string {
    const [program] = words;
    const code = `
      source "$1"; shift
      compopt() { :; } # exists only while a person completes
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _complete_${program!.replace(/[^a-z]/g, "_")}
      printf '%s ' "\${COMPREPLY[@]}"`;
    const done = spawnSync("bash", ["--norc", "-uc", code, "bash", path, ...words], { cwd: "/" });
    return (done.stdout.toString() + done.stderr.toString()).trim();
  }

  needs("bash").test("bash: offers commands, options, choices and files", () => {
    const path = script("bash");
    const offers: [words: string[], reply: string][] = [
      [["composefs", "m"], "mk missing mount"],
      [["composefs", "--v"], "--version"],
      [["composefs", "mk", "--digest-"], "--digest-store --digest-only"],
      [["composefs", "mk", "--progress", "p"], "plain"],
      [["composefs", "mk", "--progress", "=", "n"], "none"],
      [["composefs", "mk", "--threads", ""], ""],
      [["composefs", "ls", "et"], "etc"],
      [["composefs", "mk", "--digest-store", "x", "a", "b", "et"], ""],
      [["composefs", "completion", ""], "bash zsh fish"],
      [["composefs-info", "l"], "ls"],
      [["composefs-info", "--basedir", "=", "/tmp", "o"], "objects"],
      [["composefs-info", "ls", "et"], "etc"],
      [["mount.composefs", "-t", ""], "composefs"],
      [["mkcomposefs", "--u"], "--use-epoch --user-xattrs"],
      [["cfsctl", "--hash", "sha5"], "sha512"],
      [["cfsctl", "--repo", "/srv", "--hash", "=", "sha256", "compute-k"], "compute-karg"],
      [["cfsctl", "--no-repo", "compute-id", "--xattrs", "k"], "keep-user-xattrs"],
      [["cfsctl", "oc"], "oci"],
      [["cfsctl", "--repo", "x", "oci", "i"], "images inspect import-layer"],
      [["cfsctl", "oci", "inspect", "--"], "--manifest --config --help"],
      [["cfsctl", "images", "--n"], "--no-trunc"],
    ];
    for (const [words, reply] of offers) {
      expect(bashReply(path, words), words.join(" ")).toBe(reply);
    }
  });

  needs("fish").test("fish: offers commands, options, choices and files", () => {
    const path = script("fish");
    const ask = (line: string) => {
      const done = spawnSync("fish", [
        "-N",
        "-c",
        `source $argv[1]; complete -C $argv[2]`,
        path,
        line,
      ]);
      return done.stdout
        .toString()
        .trim()
        .split("\n")
        .map((offer) => offer.split("\t")[0]);
    };
    expect(new Set(ask("composefs m"))).toEqual(new Set(["missing", "mk", "mount"]));
    expect(ask("composefs mk --progress ")).toEqual(["auto", "json", "none", "plain"]);
    expect(ask("composefs-info --fil")).toEqual(["--filter"]);
    expect(ask("composefs-info mea")).toEqual(["measure-file"]);
    expect(ask("mount.composefs -t ")).toEqual(["composefs"]);
  });

  needs("zsh").test("zsh: is a script that zsh can read, and registers all programs", () => {
    const code = `compdef() { print -r -- "$@" }; source $1`;
    const done = spawnSync("zsh", ["-f", "-c", code, "zsh", script("zsh")]);
    expect(done.stderr.toString()).toBe("");
    const names = PROGRAMS.map(({ name }) => name).join(" ");
    expect(done.stdout.toString()).toBe(`_composefs_programs ${names}\n`);
  });
});
