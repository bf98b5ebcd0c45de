/** What scripts and people can rely on, seen from outside: real processes, real files. */

import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { needs } from "../support/needs.ts";
import { tempDir } from "../support/temp.ts";
import { SAMPLE_DUMP, bin, runProgram } from "./programs.ts";
import type { Program } from "./programs.ts";

let cwd = "";
let sampleImage: Buffer;

beforeAll(() => {
  cwd = tempDir();
  writeFileSync(join(cwd, "sample.dump"), SAMPLE_DUMP);
  const made = runProgram("mkcomposefs", ["--from-file", "sample.dump", "image.cfs"], { cwd });
  expect(made).toMatchObject({ status: 0, stderr: "" });
  sampleImage = readFileSync(join(cwd, "image.cfs"));
});

/** Runs `composefs` in the directory of the samples. */
function composefs(args: readonly string[], stdin?: string) {
  const done = runProgram("composefs", args, stdin === undefined ? { cwd } : { cwd, stdin });
  return { status: done.status, stdout: done.stdout.toString(), stderr: done.stderr };
}

/** A command line for a shell with a program of ours in it. */
function shell(line: string) {
  const env = { ...process.env, PATH: `${join(bin("composefs"), "..")}:${process.env["PATH"]}` };
  const done = spawnSync("bash", ["-c", line], { cwd, env });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr.toString() };
}

describe("exit statuses of composefs", () => {
  test.each([
    [["ls", "image.cfs"], 0],
    [["ls", "missing.cfs"], 1],
    [["ls", "sample.dump"], 1],
    [["ls", "image.cfs", "/nothing"], 1],
    [[], 2],
    [["lss"], 2],
    [["ls"], 2],
    [["ls", "--nothing", "image.cfs"], 2],
    [["ls", "image.cfs", "/", "excess"], 2],
    [["mk", "sample.dump"], 2],
    [["mk", "--progress=loud", "a", "b"], 2],
    [["mk", "--threads=0", "a", "b"], 2],
    [["digest", "--block-size=5000", "image.cfs"], 2],
    [["completion", "tcsh"], 2],
    [["mount", "image.cfs", "."], 2],
    [["missing", "image.cfs"], 2],
    [["diff", "image.cfs", "sample.dump"], 0],
    [["diff", "image.cfs", "."], 3],
    [["diff", "-", "-"], 2],
    [["missing", "--basedir=.", "image.cfs"], 4],
    [["missing", "--basedir=nowhere", "image.cfs"], 1],
    [["mount", "--basedir=.", `--digest=${"a".repeat(64)}`, "image.cfs", "."], 5],
    [["mount", "--basedir=.", "--digest=abc", "image.cfs", "."], 1],
    [["umount", "sample.dump"], 1],
    [["lint", "sample.dump"], 0],
    [["help", "ls"], 0],
    [["--version"], 0],
  ])("%j: %d", (args, status) => {
    const done = composefs(args);
    expect(done.status).toBe(status);
    const silent = status === 0 || status === 3 || status === 4;
    expect(done.stderr).toMatch(silent ? /^$/ : /./);
  });
});

describe("messages of composefs", () => {
  test("say what, to what, why, and what to try", () => {
    expect(composefs(["ls", "missing.cfs"]).stderr).toBe(
      'composefs: Cannot open image "missing.cfs": No such file or directory\n',
    );
    expect(composefs(["ls", "sample.dump"]).stderr).toMatch(
      /^composefs: Cannot read EROFS image: .*"sample\.dump"\)\nhint: .*composefs lint/,
    );
  });

  test("a typo gets a hint", () => {
    expect(composefs(["dif", "a", "b"]).stderr).toContain("hint: Did you mean diff?");
    expect(composefs(["ls", "--jsn", "a"]).stderr).toContain("hint: Did you mean --json?");
  });

  test("hostile names reach the terminal as text", () => {
    const done = composefs(["ls", "\u001b[31mred\u0007\n.cfs"]);
    expect(done.stderr).toContain('"\\x1b[31mred\\x07\\x0a.cfs"');
    expect(composefs(["\u001b[31m"]).stderr).toContain("\\x1b[31m");
  });

  test("mistakes of a dump have line, field and reason, the first one and all of them", () => {
    const dump = "/ 0 40755 2 0 0 0 0.0 - - -\n/a 0 100644 1 0 x 0 0.0 - - -\n/b x 100644\n";
    const made = composefs(["mk", "--from-file", "-", "bad.cfs"], dump);
    expect(made).toMatchObject({ status: 1, stdout: "" });
    expect(made.stderr).toMatch(/line 2, gid: Invalid integer x/);
    const lint = composefs(["lint", "-"], dump);
    expect(lint.status).toBe(1);
    expect(lint.stdout).toMatch(/^standard input:2: error: gid: /m);
    expect(lint.stdout).toMatch(/^standard input:3: error: size: /m);
  });

  needs("script").test("colours only on a terminal, and not with NO_COLOR", () => {
    const line = `${bin("composefs")} ls missing.cfs`;
    const onTerminal = (env: Record<string, string>) =>
      spawnSync("script", ["-qec", line, "/dev/null"], {
        cwd,
        env: { ...process.env, TERM: "xterm", ...env },
        stdio: ["ignore", "pipe", "pipe"],
      }).stdout.toString();
    expect(onTerminal({ NO_COLOR: "" })).toContain("\u001b[");
    expect(onTerminal({ NO_COLOR: "1" })).not.toContain("\u001b[");
    expect(onTerminal({ NO_COLOR: "", TERM: "dumb" })).not.toContain("\u001b[");
    expect(composefs(["ls", "missing.cfs"]).stderr).not.toContain("\u001b[");
  });
});

describe("--json", () => {
  test.each([
    [["ls", "--json", "image.cfs"], 10],
    [["objects", "--json", "image.cfs"], 1],
    [["missing", "--json", "--basedir=.", "image.cfs"], 1],
    [["explain", "--json", "image.cfs"], undefined],
    [["diff", "--json", "image.cfs", "sample.dump"], 0],
    [["lint", "--json", "sample.dump"], undefined],
    [["digest", "--json", "image.cfs", "sample.dump"], 2],
  ])("%j prints one array", (args, length) => {
    const value: unknown = JSON.parse(composefs(args).stdout);
    expect(Array.isArray(value)).toBe(true);
    if (length !== undefined) expect(value).toHaveLength(length);
  });

  test("keys are those of the manual", () => {
    const made = composefs(["mk", "--json", "--from-file", "sample.dump", "made.cfs"]);
    expect(JSON.parse(made.stdout)).toEqual({
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      image: "made.cfs",
      imageSize: sampleImage.length,
      formatVersion: 0,
      files: 8,
      directories: 2,
      externalFiles: 2,
      externalBytes: 10_000,
      objects: 1,
      objectBytes: 5000,
      seconds: expect.any(Number),
    });
    const [first] = JSON.parse(composefs(["digest", "--json", "image.cfs"]).stdout);
    expect(first).toEqual({
      path: "image.cfs",
      algorithm: "sha256",
      blockSize: 4096,
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      source: "computed",
    });
    const changed = SAMPLE_DUMP.replace("/fifo 0 10644", "/fifo 0 10600").replace("/null", "/zero");
    const differences = composefs(["diff", "--json", "image.cfs", "-"], changed);
    expect(JSON.parse(differences.stdout)).toEqual([
      { path: "/fifo", change: "changed", fields: ["mode"] },
      { path: "/null", change: "removed" },
      { path: "/zero", change: "added" },
    ]);
    const [field] = JSON.parse(composefs(["explain", "--json", "image.cfs"]).stdout);
    expect(field).toMatchObject({ offset: 0, length: 4, structure: expect.any(String) });
    const dump = "/ 0 40755 2 0 0 0 0.0 - - -\n/x 9 100644 1 0 0 0 0.0 - - -\n";
    const [problem] = JSON.parse(composefs(["lint", "--json", "-"], dump).stdout);
    expect(Object.keys(problem)).toEqual(["line", "field", "severity", "reason", "hint"]);
  });
});

describe("composefs diff", () => {
  test("shows what a property was and is", () => {
    const changed = SAMPLE_DUMP.replace("/fifo 0 10644", "/fifo 0 10600")
      .replace("0.0 a\\xffb", "0.0 new")
      .replace("/dir/big 5000", "/dir/big 5001");
    expect(composefs(["diff", "image.cfs", "-"], changed).stdout).toBe(
      "~ /dir/big: content\n" +
        "~ /fifo: mode prw-r--r-- -> prw-------\n" +
        "~ /link: target a\\xffb -> new\n",
    );
  });

  test("--ignore-mtime", () => {
    const changed = SAMPLE_DUMP.replaceAll(" 0.0 ", " 1.0 ");
    expect(composefs(["diff", "image.cfs", "-"], changed).status).toBe(3);
    expect(composefs(["diff", "--ignore-mtime", "image.cfs", "-"], changed).status).toBe(0);
  });
});

describe("composefs explain", () => {
  test("fails for an image that contradicts itself, and says where among what it can name", () => {
    expect(composefs(["explain", "image.cfs"]).status).toBe(0);
    const broken = Buffer.from(sampleImage);
    broken.writeUInt16LE(0, 1152 + 4); // the root's mode
    writeFileSync(join(cwd, "broken.cfs"), broken);
    const { status, stdout } = composefs(["explain", "broken.cfs"]);
    expect(status).toBe(1);
    expect(stdout).toContain("composefs_version");
    expect(stdout).toContain("!! Cannot read EROFS image: corrupt at offset 1156");
  });
});

describe("composefs mk", () => {
  test("tells digest, image, tree, content and time; nothing with --quiet", () => {
    const made = composefs(["mk", "--from-file", "sample.dump", "made.cfs"]);
    expect(made.stdout).toMatch(/^digest {3}[0-9a-f]{64}\nimage {4}made\.cfs, /);
    expect(made.stdout).toContain("2 files of 9.77 KiB in 1 object of 4.88 KiB, 4.88 KiB saved");
    const quiet = composefs(["mk", "--quiet", "--from-file", "sample.dump", "made.cfs"]);
    expect(quiet).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("--digest-only prints what `digest` prints of the image", () => {
    const only = composefs(["mk", "--digest-only", "--from-file", "sample.dump"]).stdout;
    expect(`${only.trim()}  image.cfs\n`).toBe(composefs(["digest", "image.cfs"]).stdout);
  });

  test("with the image on standard output, all else goes to standard error", () => {
    const line = "composefs mk --from-file sample.dump -";
    const done = shell(line);
    expect(done.stdout.equals(sampleImage)).toBe(true);
    expect(done.stderr).toMatch(/^digest /);
  });

  test("--min-version=2 writes the layout of composefs-rs", () => {
    composefs(["mk", "--min-version=2", "--from-file", "sample.dump", "v2.cfs"]);
    const image = readFileSync(join(cwd, "v2.cfs"));
    expect(image.readUInt32LE(12)).toBe(2); // composefs_version
    expect(composefs(["diff", "image.cfs", "v2.cfs"]).stdout).not.toMatch(/^[+-]/m);
  });

  test("--hardlinks keeps hard links of a directory", () => {
    const tree = join(tempDir(), "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "a"), "a");
    linkSync(join(tree, "a"), join(tree, "b"));
    composefs(["mk", tree, "plain.cfs"]);
    composefs(["mk", "--hardlinks", tree, "links.cfs"]);
    expect(composefs(["ls", "plain.cfs"]).stdout).not.toContain(" = ");
    expect(composefs(["ls", "links.cfs"]).stdout).toContain("/b = /a");
  });

  test("stores objects that `missing` does not miss", () => {
    const tree = join(tempDir(), "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "big"), Buffer.alloc(5000, 7));
    const store = join(tempDir(), "objects");
    expect(composefs(["mk", `--digest-store=${store}`, tree, "stored.cfs"]).status).toBe(0);
    expect(composefs(["missing", `--basedir=${store}`, "stored.cfs"]).status).toBe(0);
    const [object] = composefs(["objects", "stored.cfs"]).stdout.trim().split("\n");
    expect(statSync(join(store, object!)).size).toBe(5000);
  });

  test("progress as JSON lines on standard error", () => {
    const done = composefs([
      "mk",
      "--progress=json",
      "--digest-only",
      join(bin("composefs"), ".."),
    ]);
    const events = done.stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ phase: expect.any(String), files: expect.any(Number) });
  });

  test("interrupted: exits with 130 and leaves nothing behind but whole objects", async () => {
    const tree = tempDir();
    for (let i = 0; i < 3000; i++) writeFileSync(join(tree, `${i}`), Buffer.alloc(20_000, i));
    const place = tempDir();
    const args = ["mk", "--progress=json", "--digest-store=objects", tree, "image.cfs"];
    const child = spawn(bin("composefs"), args, {
      cwd: place,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = new Promise((done) => child.on("close", done));
    await new Promise((done) => child.stderr.once("data", done)); // the work has begun
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    const left = readdirSync(place, { recursive: true }).map(String);
    const whole = /^objects(\/[0-9a-f]{2}(\/[0-9a-f]{62})?)?$/;
    expect(left.filter((name) => !whole.test(name))).toEqual([]);
  });
});

describe("where an image goes", () => {
  const make = (target: string, dump = "sample.dump") =>
    runProgram("mkcomposefs", ["--from-file", dump, target], { cwd });

  test("a failure leaves what was there, and nothing else", () => {
    const place = tempDir();
    const target = join(place, "image");
    writeFileSync(target, "before");
    writeFileSync(join(cwd, "broken.dump"), "/ 0 40755 2 0 0 0 0.0 - - -\nbroken\n");
    expect(make(target, "broken.dump").status).toBe(1);
    expect(readFileSync(target, "utf8")).toBe("before");
    expect(readdirSync(place)).toEqual(["image"]);
  });

  test("a symlink is followed, not replaced", () => {
    const place = tempDir();
    symlinkSync("real", join(place, "link"));
    expect(make(join(place, "link")).status).toBe(0);
    expect(readFileSync(join(place, "real")).equals(sampleImage)).toBe(true);
    expect(readdirSync(place).sort()).toEqual(["link", "real"]);
  });

  test.each(["mkcomposefs --from-file sample.dump", "composefs mk -q --from-file sample.dump"])(
    "%s: standard output, pipes and open files",
    (command) => {
      const whole = (line: string) => expect(shell(line).stdout.equals(sampleImage)).toBe(true);
      whole(`${command} -`);
      whole(`${command} - | cat`);
      whole(`${command} /dev/stdout | cat`);
      whole(`${command} /proc/self/fd/3 3>&1 | cat`);
      whole(`${command} /dev/fd/3 3>opened && cat opened`);
    },
  );

  test("a full device is an error", () => {
    const full = shell("mkcomposefs --from-file sample.dump - >/dev/full");
    expect(full).toMatchObject({ status: 1 });
    expect(full.stderr).toContain("Cannot write to standard output: No space left on device");
    expect(make("/dev/full").stderr).toContain("No space left on device");
  });

  needs("script").test("standard output on a terminal is refused", () => {
    const line = `${bin("mkcomposefs")} --from-file sample.dump -`;
    const done = spawnSync("script", ["-qec", line, "/dev/null"], { cwd });
    expect(done.status).toBe(1);
    expect(done.stdout.toString()).toContain("standard output is a terminal");
  });

  test("a place that cannot be is an error that says so", () => {
    expect(make("sample.dump/image").stderr).toBe(
      'mkcomposefs: Cannot write image "sample.dump/image": Not a directory\n',
    );
    expect(make("nowhere/image").stderr).toBe(
      'mkcomposefs: Cannot write image "nowhere/image": No such file or directory\n',
    );
  });

  test("a directory is refused before anything is read", () => {
    const done = make(".", "missing.dump");
    expect(done).toMatchObject({ status: 1 });
    expect(done.stderr).toContain("Is a directory");
  });
});

describe("bytes", () => {
  test("names that are not UTF-8 work as operands, values and in messages", () => {
    const line = [
      "cp sample.dump $'\\xff.dump'",
      "mkcomposefs --from-file $'\\xff.dump' $'\\xc3.cfs'",
      "cmp $'\\xc3.cfs' image.cfs",
      "composefs-info --filter=$'\\xfe' ls $'\\xc3.cfs'",
      "composefs ls image.cfs $'\\xfd'",
    ].join(" && ");
    const done = shell(line);
    expect(done.stderr).toBe(
      'composefs: Cannot list "\\xfd": not in "image.cfs"\n' +
        "hint: paths are those of the image, from its root\n",
    );
  });
});

describe("a reader that goes away", () => {
  test.each([
    "composefs-info dump big.cfs",
    "composefs-info ls big.cfs",
    "composefs ls big.cfs",
    "composefs ls --json big.cfs",
    "mkcomposefs --from-file big.dump -",
  ])("%s: ends by SIGPIPE, silently, as C's do", (command) => {
    const lines = ["/ 0 40755 2 0 0 0 0.0 - - -"];
    for (let i = 10_000; i < 20_000; i++) lines.push(`/${i} 0 100644 1 0 0 0 0.0 - - -`);
    writeFileSync(join(cwd, "big.dump"), `${lines.join("\n")}\n`);
    if (!existsSync(join(cwd, "big.cfs"))) shell("mkcomposefs --from-file big.dump big.cfs");
    const done = shell(`${command} | head -c 1 >/dev/null; exit \${PIPESTATUS[0]}`);
    expect(done).toMatchObject({ status: 141, stderr: "" });
  });
});

describe("the launchers", () => {
  const programs: readonly Program[] = [
    "composefs",
    "composefs-dump",
    "composefs-info",
    "mkcomposefs",
    "mount.composefs",
  ];

  test("say how to build a checkout that is not built", () => {
    const place = tempDir();
    spawnSync("cp", ["-r", join(bin("composefs"), ".."), place]);
    for (const program of programs) {
      const done = spawnSync(join(place, "bin", program), ["--help"]);
      expect(done.status).toBe(1);
      expect(done.stderr.toString()).toBe(
        `${program}: is not built yet: run \`npm run build\` in ${place}\n`,
      );
    }
  });

  test("say that Node is too old, in words that an old Node can read", () => {
    const launcher = join(bin("composefs"), "../launch.cjs");
    const code = `
      Object.defineProperty(process.versions, "node", { value: "16.20.2" });
      require(${JSON.stringify(launcher)})("composefs");`;
    const done = spawnSync(process.execPath, ["-e", code]);
    expect(done.status).toBe(1);
    expect(done.stderr.toString()).toMatch(/^composefs: needs Node\.js 20\.20 or newer/);
    expect(readFileSync(launcher, "utf8")).not.toMatch(/=>|\b(let|const|class)\b|\?\?|\?\.|`\$\{/);
  });
});
