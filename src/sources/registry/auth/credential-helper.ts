/**
 * Programs that keep credentials: `docker-credential-NAME get`, the server on standard input, JSON on
 * standard output.
 *
 * Source: docker/docker-credential-helpers, README "Development". What a program writes is never part
 * of an error: it may hold the secret.
 */

import { spawn } from "node:child_process";
import { ComposefsError } from "../../../core/errors.ts";
import { Credentials } from "./credentials.ts";

/** No secret is longer. */
const OUTPUT_MAX = 1024 * 1024;

/** Helpers say so when they have nothing; Docker's own know no other sign. */
const NOT_FOUND = "credentials not found in native keychain";

/** The user's name that stands for "the secret is an identity token". */
const TOKEN_USER = "<token>";

/** How to run a helper. */
export interface HelperOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Milliseconds; it is killed after that. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/** Asks a helper for a server; `undefined` where it has nothing. Throws `invalid-config`. */
export async function askHelper(
  name: string,
  server: string,
  options: HelperOptions,
): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const fail = (reason: string, hint?: string): ComposefsError =>
    new ComposefsError(
      "invalid-config",
      `Cannot get credentials for ${server} from ${program}: ${reason}`,
      hint === undefined ? {} : { hint },
    );
  if (!/^[A-Za-z0-9][\w.-]{0,99}$/.test(name)) throw fail("that is no name of a program");
  const done = await run(program, server, options, fail);
  if (done.output.trim() === NOT_FOUND) return undefined;
  if (done.status !== 0) throw fail(`it ended with status ${done.status}`);
  let answer: unknown;
  try {
    answer = JSON.parse(done.output);
  } catch {
    throw fail("it did not write JSON");
  }
  const { Username, Secret } = (answer ?? {}) as { Username?: unknown; Secret?: unknown };
  if (typeof Username !== "string" || typeof Secret !== "string") {
    throw fail("it wrote no user and secret");
  }
  const isToken = Username === TOKEN_USER;
  return new Credentials(
    program,
    isToken
      ? { username: "", password: "", identityToken: Secret }
      : { username: Username, password: Secret },
  );
}

async function run(
  program: string,
  server: string,
  { environment, limit, signal }: HelperOptions,
  fail: (reason: string, hint?: string) => ComposefsError,
): Promise<{ readonly status: number; readonly output: string }> {
  signal?.throwIfAborted();
  const child = spawn(program, ["get"], {
    env: environment,
    stdio: ["pipe", "pipe", "ignore"],
    // Its own group: what it started is ended with it.
    detached: true,
  });
  const kill = (): void => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // It is gone, or it never was.
    }
  };
  return await new Promise((resolve, reject) => {
    let output = "";
    const timer = setTimeout(() => {
      kill();
      reject(fail(`it did not end within ${limit / 1000} s`));
    }, limit);
    const abort = (): void => {
      kill();
      reject(signal!.reason as Error);
    };
    signal?.addEventListener("abort", abort, { once: true });
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    child.once("error", (error: NodeJS.ErrnoException) => {
      end();
      const isMissing = error.code === "ENOENT";
      reject(fail(isMissing ? "there is no such program" : (error.code ?? "it cannot be run")));
    });
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (text: string) => {
      output += text;
      if (output.length > OUTPUT_MAX) {
        kill();
        reject(fail("it wrote too much"));
      }
    });
    child.once("close", (status) => {
      end();
      resolve({ status: status ?? -1, output });
    });
    // It may end without reading.
    child.stdin.on("error", () => undefined);
    child.stdin.end(server);
  });
}
