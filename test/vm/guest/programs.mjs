/**
 * This package's programs in one process, which runs when the state is saved: starting Node anew costs an
 * emulated processor more than a second, most of it for code that its translator has not seen yet.
 *
 * The far end of program.sh: takes the process ID of a caller, and runs what that was called as, with its
 * arguments, directory, environment and outputs. The programs are the same modules that `bin/` starts.
 */

import { closeSync, openSync, readFileSync, readSync, readlinkSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

const cli = "/opt/composefs/dist/cli";
const { openOutput } = await import(`${cli}/output/output.js`);
const { reportFailure } = await import(`${cli}/report.js`);
const PROGRAMS = {
  composefs: await import(`${cli}/umbrella.js`),
  mkcomposefs: await import(`${cli}/drop-ins/mkcomposefs.js`),
  "mount.composefs": await import(`${cli}/drop-ins/mount-composefs.js`),
};

const calls = openSync("/run/programs/calls", "r+");
const buffer = Buffer.alloc(4096);
for (;;) {
  const text = buffer.toString("latin1", 0, readSync(calls, buffer));
  for (const caller of text.trimEnd().split("\n")) await answer(caller);
}

async function answer(caller) {
  const of = (name) => `/proc/${caller}/${name}`;
  // "/bin/sh", the script, its arguments: bytes, as the programs take them.
  const [, script, ...args] = readFileSync(of("cmdline"), "latin1").slice(0, -1).split("\0");
  const program = basename(script);
  const variables = readFileSync(of("environ"), "utf8").split("\0").filter(Boolean);
  const env = Object.fromEntries(variables.map((line) => line.split(/=(.*)/s)));
  const [out, err] = [openSync(of("fd/1"), "a"), openSync(of("fd/2"), "a")];
  const io = { out: openOutput(out, env), err: openOutput(err, env), env };
  process.chdir(readlinkSync(of("cwd")));
  let status;
  try {
    status = await PROGRAMS[program].run(args, io);
  } catch (error) {
    status = reportFailure(program, error, io);
  }
  io.out.flush();
  io.err.flush();
  process.chdir("/");
  closeSync(out);
  closeSync(err);
  writeFileSync(`/run/programs/${caller}`, `${status}\n`);
}
