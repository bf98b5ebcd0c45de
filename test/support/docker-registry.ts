/** Debian's `docker-registry` on a loopback port of its own; ended when the test file has ended. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll } from "vitest";
import { run } from "./run.ts";
import { tempDir } from "./temp.ts";

/** How a registry is set up; open to everyone and without TLS unless told. */
export interface RegistrySetup {
  /** One user who may do everything. */
  readonly user?: { readonly name: string; readonly password: string };
  /** Tokens: the server that gives them, and the certificate of the key that signs them. */
  readonly token?: { readonly realm: string; readonly certificates: string };
  /** Paths of a certificate and its key; `clients` is an authority whose clients alone are let in. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clients?: string };
}

/** A registry that runs. */
export interface RunningRegistry {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly url: string;
  /** Where it keeps its files. */
  readonly storage: string;
  stop(): Promise<void>;
}

/** What a registry expects a token to be for. */
export const TOKEN_SERVICE = "registry.test";
export const TOKEN_ISSUER = "issuer.test";

const running = new Set<ChildProcess>();
afterAll(async () => {
  await Promise.all([...running].map(end));
});

/** Starts a registry; resolves when it listens. */
export async function startRegistry(setup: RegistrySetup = {}): Promise<RunningRegistry> {
  const directory = tempDir();
  const config = join(directory, "config.json");
  // YAML, of which JSON is a part.
  writeFileSync(config, JSON.stringify(configuration(directory, setup)));
  const child = spawn("docker-registry", ["serve", config], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], OTEL_TRACES_EXPORTER: "none" },
  });
  running.add(child);
  const address = await listening(child);
  return {
    host: address,
    url: `${setup.tls === undefined ? "http" : "https"}://${address}`,
    storage: join(directory, "storage"),
    stop: () => end(child),
  };
}

function configuration(directory: string, { user, token, tls }: RegistrySetup): object {
  const tlsPart = {
    certificate: tls?.certificate,
    key: tls?.key,
    ...(tls?.clients === undefined ? {} : { clientcas: [tls.clients] }),
  };
  const auth = user === undefined ? token && tokenAuth(token) : basicAuth(directory, user);
  return {
    version: "0.1",
    log: { level: "info", accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: join(directory, "storage") },
      delete: { enabled: true },
    },
    http: {
      addr: "127.0.0.1:0",
      secret: "of tests",
      ...(tls === undefined ? {} : { tls: tlsPart }),
    },
    ...(auth === undefined ? {} : { auth }),
  };
}

function basicAuth(directory: string, user: { name: string; password: string }): object {
  const path = join(directory, "htpasswd");
  const made = run("htpasswd", ["-Bbn", user.name, user.password]);
  if (made.status !== 0) throw new Error(`htpasswd: ${made.stderr}`);
  writeFileSync(path, made.stdout);
  return { htpasswd: { realm: "tests", path } };
}

function tokenAuth({ realm, certificates }: { realm: string; certificates: string }): object {
  return {
    token: { realm, service: TOKEN_SERVICE, issuer: TOKEN_ISSUER, rootcertbundle: certificates },
  };
}

/** The address, out of what the registry logs when it is ready. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = "";
    const read = (chunk: Buffer): void => {
      log += chunk.toString();
      const found = /listening on (127\.0\.0\.1:\d+)/.exec(log);
      if (found !== null) resolve(found[1]!);
    };
    child.stdout!.on("data", read);
    child.stderr!.on("data", read);
    child.once("error", reject);
    child.once("exit", (status) => {
      running.delete(child);
      reject(new Error(`docker-registry ended with ${status}: ${log.slice(-2000)}`));
    });
  });
}

function end(child: ChildProcess): Promise<void> {
  running.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}
