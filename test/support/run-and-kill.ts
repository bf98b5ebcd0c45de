/** A process that is killed in the middle of its work. */

import { spawn } from "node:child_process";

/**
 * Runs a module's code and kills it `delay` ms after it has printed something. Returns for how many ms it ran
 * from then on, and whether it was the kill that ended it.
 */
export async function runAndKill(
  code: string,
  delay: number,
): Promise<{ readonly ran: number; readonly killed: boolean }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const start = performance.now();
  const timer = setTimeout(() => child.kill("SIGKILL"), delay);
  const signal = await new Promise((resolve) => child.once("exit", (_, name) => resolve(name)));
  clearTimeout(timer);
  return { ran: performance.now() - start, killed: signal === "SIGKILL" };
}
