/**
 * `npm run test:fresh`: both README commands on a fresh clone of what is committed, with nothing done before,
 * as root (where it is root that runs this) and as a plain user, on this Node and on Node 24.
 *
 *     npm run test:fresh                    all four
 *     npm run test:fresh -- plain 24        only the combinations with these words
 *
 * Each user has an empty home and an empty cache, which the second Node finds filled.
 */

import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { CHECKOUT, launch } from "./checkout.mjs";
import { setupNode } from "./setup-node.mjs";

/** Debian's user that owns nothing. */
const NOBODY = 65534;

await launch(() => {
  const wanted = process.argv.slice(2);
  const isRoot = process.getuid?.() === 0;
  const base = mkdtempSync(join(tmpdir(), "composefs-fresh-"));
  chmodSync(base, 0o755);
  const log = join(CHECKOUT, ".cache", "fresh.log");
  mkdirSync(join(CHECKOUT, ".cache"), { recursive: true });
  rmSync(log, { force: true });
  // Where a plain user can reach it.
  cpSync(setupNode("24"), join(base, "node-24"), { recursive: true });

  const lines = [];
  let failed = false;
  try {
    for (const user of isRoot ? ["root", "plain"] : ["plain"]) {
      for (const node of [process.versions.node.split(".")[0] ?? "", "24"]) {
        const name = `${user} ${node}`;
        if (!wanted.every((word) => name.split(" ").includes(word))) continue;
        const clone = makeClone(base, name.replace(" ", "-"));
        const home = join(base, `home-${user}`);
        mkdirSync(home, { recursive: true });
        const run = runner({ clone, home, isPlain: isRoot && user === "plain", base, node, log });
        for (const args of [["start"], ["test"]]) {
          console.log(`${name}: npm ${args.join(" ")} …`);
          const { status, seconds, last } = run(args);
          failed ||= status !== 0;
          lines.push(
            `${status === 0 ? "ok    " : "FAILED"} ${name.padEnd(8)} npm ${args.join(" ").padEnd(5)} ` +
              `${seconds.toFixed(0).padStart(4)} s  ${last}`,
          );
          console.log(lines.at(-1));
        }
      }
    }
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
  console.log(`\n${lines.join("\n")}\n\nWhat they printed: ${log}`);
  return failed ? 1 : 0;
});

/**
 * @param {string} base
 * @param {string} name
 */
function makeClone(base, name) {
  const directory = join(base, name);
  const clone = join(directory, "composefs");
  mkdirSync(directory);
  execFileSync("git", ["clone", "--quiet", `file://${CHECKOUT}`, clone], { stdio: "inherit" });
  const shared = process.env["COMPOSEFS_SHARED"] ?? resolve(CHECKOUT, "../shared");
  if (existsSync(shared)) symlinkSync(shared, join(directory, "shared"));
  return clone;
}

/**
 * @param {{ clone: string, home: string, isPlain: boolean, base: string, node: string, log: string }} place
 * @returns {(args: string[]) => { status: number, seconds: number, last: string }}
 */
function runner({ clone, home, isPlain, base, node, log }) {
  if (isPlain) execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, clone, home]);
  const directory = node === "24" ? [join(base, "node-24")] : [];
  // Nothing of the environment but what a login has.
  const env = {
    HOME: home,
    LANG: process.env["LANG"] ?? "C.UTF-8",
    PATH: [...directory, process.env["PATH"] ?? ""].join(":"),
    ...networkSettings(),
  };
  return (args) => {
    const start = performance.now();
    const done = spawnSync("npm", args, {
      cwd: clone,
      env,
      encoding: "utf8",
      maxBuffer: 2 ** 28,
      stdio: ["ignore", "pipe", "pipe"],
      ...(isPlain ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    const printed = `${done.stdout}${done.stderr}`;
    appendFileSync(log, `\n##### ${clone}: npm ${args.join(" ")}\n${printed}`);
    return {
      status: done.status ?? -1,
      seconds: (performance.now() - start) / 1000,
      last: done.stdout.trimEnd().split("\n").at(-1) ?? "",
    };
  };
}

/** How this machine reaches the npm registry, where the environment says it. */
function networkSettings() {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => /proxy$|_CA_CERTS$|^SSL_CERT/i.test(name)));
}
