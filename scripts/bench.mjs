/**
 * `npm run bench`: compiles bench/ and runs it. What it does and its options: bench/main.ts.
 */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { build } from "esbuild";
import { CHECKOUT, launch, prepareCheckout } from "./checkout.mjs";

await launch(async () => {
  prepareCheckout();
  // Inside the checkout, so that Node finds the packages and `#src` from there.
  const outfile = join(CHECKOUT, ".cache", "bench.mjs");
  await build({
    entryPoints: [join(CHECKOUT, "bench/main.ts")],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["#src/*", "koffi"],
    outfile,
    logLevel: "warning",
  });
  // `#src/x.ts` is what package.json maps to dist; Node does the same here.
  const done = spawnSync(process.execPath, [outfile, ...process.argv.slice(2)], {
    cwd: CHECKOUT,
    stdio: "inherit",
  });
  return done.status ?? 1;
});
