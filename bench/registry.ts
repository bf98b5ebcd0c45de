/** A registry for the container works: Debian's `docker-registry` on loopback, which tells what it has sent. */

import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A line of the access log: the bytes that were sent as the answer to a GET. */
const SENT = /"GET \S+ HTTP\/1\.1" \d+ (\d+) /g;
const START_TRIES = 100;

export class Registry {
  /** `127.0.0.1:port` */
  readonly host: string;
  readonly #child: ChildProcess;
  readonly #log: string;

  private constructor(host: string, child: ChildProcess, log: string) {
    this.host = host;
    this.#child = child;
    this.#log = log;
  }

  /** Starts one with nothing in it; its files go below `directory`. */
  static start(directory: string): Registry {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    const config = join(directory, "config.json");
    const storage = { filesystem: { rootdirectory: join(directory, "storage") } };
    const log = join(directory, "log");
    writeFileSync(
      config,
      JSON.stringify({ version: "0.1", storage, http: { addr: "127.0.0.1:0", secret: "bench" } }),
    );
    const out = openSync(log, "w");
    const env = { PATH: process.env["PATH"], OTEL_TRACES_EXPORTER: "none" };
    const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", out, out], env });
    for (let tries = 0; tries < START_TRIES; tries++) {
      const host = /listening on (127\.0\.0\.1:\d+)/.exec(readFileSync(log, "utf8"))?.[1];
      if (host !== undefined) return new Registry(host, child, log);
      execFileSync("sleep", ["0.1"]);
    }
    child.kill();
    throw new Error("docker-registry does not start");
  }

  /** What it has sent while `work` ran, in bytes of bodies. */
  sentDuring(work: () => void): number {
    const start = statSync(this.#log).size;
    work();
    execFileSync("sleep", ["0.3"]);
    const lines = readFileSync(this.#log).subarray(start).toString("latin1");
    return [...lines.matchAll(SENT)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
  }

  stop(): void {
    this.#child.kill();
  }
}
