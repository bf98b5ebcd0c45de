/**
 * A virtual machine that runs: what all tiers give to a test. It has two serial ports: the console, which is
 * logged and which a test can wait on, and the agent's, which runs commands (test/vm/guest/agent.sh).
 *
 * QEMU emulates the processor (TCG) always: hardware virtualisation is not everywhere, and a test that runs in
 * two ways fails in two ways.
 */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, readSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Duplex } from "node:stream";
import { toolEnvironment } from "../../../scripts/vm-tools.mjs";
import { Agent } from "./agent.ts";
import type { CommandResult } from "./agent.ts";
import { ControlChannel } from "./qmp.ts";
import { findTool, setUp } from "./setup.ts";

/** What a tier asks for. */
export interface MachineRequest {
  /** Where the console is logged. */
  readonly log: string;
  /** QEMU's arguments beside serial ports and control channel. */
  readonly args: readonly string[];
  /** Milliseconds that the machine may run in all. */
  readonly limit: number;
}

/** How often the console's log is looked at, in ms. */
const CONSOLE_INTERVAL = 20;
/** Lines of the console that a failure shows. */
const LAST_LINES = 30;

export class Machine {
  readonly log: string;
  readonly #control: ControlChannel;
  readonly #child: ChildProcess;
  readonly #agent: Agent;
  readonly #limit: NodeJS.Timeout;
  readonly #exited: Promise<void>;
  readonly #logFile: number;
  readonly #consoleTimer: NodeJS.Timeout;
  readonly #buffer = Buffer.alloc(65536);
  /** Bytes of the log that have been taken. */
  #logged = 0;
  #console = "";
  /** The beginning of a terminal's control sequence whose end has not come yet. */
  #half = "";
  /** How much of the console earlier expectations have passed. */
  #seen = 0;
  /** Why nothing more can be asked of it. */
  #ended: string | undefined;
  #onChange: () => void = () => {};

  constructor(request: MachineRequest) {
    const { tools } = setUp();
    this.log = request.log;
    mkdirSync(dirname(request.log), { recursive: true });
    rmSync(request.log, { force: true });
    this.#logFile = openSync(request.log, "a+");
    // The kernel ends QEMU with this process, however that ends.
    const args = ["--pdeathsig", "KILL", "--", findTool("qemu-system-x86_64")];
    const serial = [
      ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
      ["-chardev", "socket,id=agent,fd=3", "-serial", "chardev:agent"],
      ["-chardev", "socket,id=control,fd=4", "-mon", "chardev=control,mode=control"],
    ].flat();
    this.#child = spawn("setpriv", [...args, ...COMMON, ...serial, ...request.args], {
      env: toolEnvironment(tools),
      // The console goes into a file: of one that waits for a reader for 10 ms, the kernel drops letters.
      stdio: ["pipe", this.#logFile, this.#logFile, "pipe", "pipe"],
    });
    const [, , , agent, control] = this.#child.stdio;
    this.#agent = new Agent(agent as Duplex);
    this.#control = new ControlChannel(control as Duplex);
    this.#consoleTimer = setInterval(() => this.#readConsole(), CONSOLE_INTERVAL);
    this.#exited = new Promise((resolve) => {
      this.#child.on("error", (error) => this.#end(`QEMU cannot start: ${error.message}`));
      this.#child.on("close", (status, signal) => {
        this.#end(`it has ended (${signal ?? status})`);
        clearTimeout(this.#limit);
        clearInterval(this.#consoleTimer);
        this.#readConsole();
        closeSync(this.#logFile);
        resolve();
      });
    });
    this.#limit = setTimeout(() => {
      this.#end(`it was still running after ${request.limit / 1000} s`);
      this.#child.kill("SIGKILL");
    }, request.limit);
  }

  /**
   * Runs a command in a shell of its own and returns what it printed, standard output and standard error as
   * they came. Any status is an answer; throws when there is none within `timeout` ms.
   */
  run(command: string, { timeout = 60_000 } = {}): Promise<CommandResult> {
    return this.#within(timeout, `run "${command}"`, this.#agent.run(command));
  }

  /** Runs a command that must succeed, and returns what it printed. */
  async output(command: string, options?: { timeout?: number }): Promise<string> {
    const { status, output } = await this.run(command, options);
    if (status !== 0) throw this.#failure(`run "${command}"`, `status ${status}\n${output}`);
    return output;
  }

  /** Waits until the agent of a machine that boots can take commands. */
  ready({ timeout = 120_000 } = {}): Promise<void> {
    return this.#within(timeout, "find a shell", this.#agent.ready);
  }

  /**
   * Waits until the console shows a marker, after what earlier calls found, and returns the text up to and
   * with it. A pattern that shall match to the end of a line ends with `\n`: text comes in pieces.
   */
  async expect(marker: string | RegExp, { timeout = 60_000 } = {}): Promise<string> {
    const pattern =
      typeof marker === "string"
        ? new RegExp(marker.replace(/[$()*+.?[\\\]^{|}]/g, "\\$&"))
        : marker;
    let found: RegExpExecArray | null = null;
    const shown = new Promise<void>((resolve) => {
      this.#onChange = () => {
        found = pattern.exec(this.#console.slice(this.#seen));
        if (found !== null) resolve();
      };
    });
    this.#onChange();
    await this.#within(timeout, `see ${marker}`, shown);
    const { index, 0: match } = found!;
    const from = this.#seen;
    this.#seen += index + match.length;
    return this.#console.slice(from, this.#seen);
  }

  /** What the console has shown so far, without carriage returns, colours and the like. */
  get console(): string {
    return this.#console;
  }

  /** Saves the machine's devices to a file, and stops the machine; its memory is a file already. */
  save(path: string): Promise<void> {
    return this.#within(60_000, "be saved", this.#control.save(path));
  }

  /** Loads what {@link save} saved into a machine that waits for it, and starts it. */
  restore(path: string): Promise<void> {
    return this.#within(60_000, "be restored", this.#control.restore(path));
  }

  /** Takes the power: what the guest has not written to its disks is lost. No error when it is off already. */
  async powerCut(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  /** Waits until the machine has ended by itself. */
  async off({ timeout = 30_000 } = {}): Promise<void> {
    await Promise.race([
      this.#exited,
      this.#within(timeout, "power off", new Promise(() => {})),
    ]).catch((error: unknown) => {
      if (this.#ended === undefined) throw error;
    });
  }

  async #within<T>(timeout: number, what: string, wanted: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(this.#failure(what, `nothing within ${timeout / 1000} s`)),
        timeout,
      );
    });
    const ended = this.#exited.then(() => {
      throw this.#failure(what, this.#ended ?? "it has ended");
    });
    try {
      return await Promise.race([wanted, late, ended]);
    } finally {
      clearTimeout(timer);
    }
  }

  #failure(what: string, why: string): Error {
    return new Error(`The machine cannot ${what}: ${why}\n${this.lastLines()}`);
  }

  /** The end of the console log and where all of it is. */
  lastLines(): string {
    const lines = this.#console.trimEnd().split("\n").slice(-LAST_LINES);
    return [`--- the end of ${this.log}:`, ...lines, "---"].join("\n");
  }

  /** Takes what has come to the log since. */
  #readConsole(): void {
    for (;;) {
      // QEMU moves the position of this file.
      const size = readSync(this.#logFile, this.#buffer, 0, this.#buffer.length, this.#logged);
      if (size === 0) return;
      this.#logged += size;
      this.#takeConsole(this.#buffer.subarray(0, size));
    }
  }

  #takeConsole(data: Buffer): void {
    const text = this.#half + data.toString("latin1");
    this.#half = /\x1b(\[[0-9;=]*)?$/.exec(text)?.[0] ?? "";
    const whole = text.slice(0, text.length - this.#half.length);
    this.#console += whole.replace(/\r|\x1b\[[0-9;=]*[A-Za-z]/g, "");
    this.#onChange();
  }

  #end(why: string): void {
    this.#ended ??= why;
  }
}

/** What every machine has. */
const COMMON = [
  ["-accel", "tcg", "-cpu", "max"],
  ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
].flat();
