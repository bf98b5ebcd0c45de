/** The independent maker and reader of images in tests: `skopeo`. */

import { run } from "./run.ts";

/** Copies an image. `options` come before the names, as `--dest-tls-verify=false`. */
export function skopeoCopy(from: string, to: string, ...options: string[]): void {
  skopeo("copy", "--quiet", ...options, from, to);
}

/** What an image's name names: the raw bytes of its manifest or index. */
export function skopeoRaw(name: string, ...options: string[]): Buffer {
  return skopeo("inspect", "--raw", ...options, name);
}

/** Runs it; its standard output. */
function skopeo(...args: string[]): Buffer {
  const done = run("skopeo", ["--insecure-policy", ...args]);
  if (done.status !== 0) throw new Error(`skopeo ${args.join(" ")}: ${done.stderr}`);
  return done.stdout;
}
