/**
 * Bundles each program into one CommonJS file beside its module: dist/cli/programs/NAME.cjs.
 *
 * One file starts in two thirds of the time that Node needs to find and link forty (docs/performance.md).
 * The library in dist stays as it is. koffi is not bundled: it finds its binary beside itself.
 */

import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const programs = fileURLToPath(new URL("../dist/cli/programs/", import.meta.url));
const entries = readdirSync(programs).filter((name) => name.endsWith(".js"));

await build({
  entryPoints: entries.map((name) => join(programs, name)),
  outdir: programs,
  outExtension: { ".js": ".cjs" },
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20.20",
  external: ["koffi"],
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: "linked",
  logLevel: "warning",
  plugins: [{ name: "import.meta", setup: (hooks) => hooks.onLoad({ filter: /\.js$/ }, load) }],
});

/**
 * CommonJS has no `import.meta`: gives each module the address of its own unbundled file.
 *
 * @param {import("esbuild").OnLoadArgs} args
 * @returns {import("esbuild").OnLoadResult | undefined}
 */
function load({ path }) {
  const source = readFileSync(path, "utf8");
  if (!source.includes("import.meta")) return undefined;
  const file = JSON.stringify(relative(programs, path));
  const contents = source
    .replaceAll(
      "import.meta.url",
      `require("node:url").pathToFileURL(require("node:path").join(__dirname, ${file})).href`,
    )
    .replaceAll(
      "import.meta.resolve(",
      `((name) => require("node:url").pathToFileURL(require.resolve(name)).href)(`,
    );
  return { contents, loader: "js" };
}
