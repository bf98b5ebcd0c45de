/**
 * Bundles each program, and what each worker thread runs, into one CommonJS file beside its module:
 * dist/cli/programs/NAME.cjs, dist/…/NAME-worker.cjs.
 *
 * One file starts in two thirds of the time that Node needs to find and link forty (docs/performance.md).
 * The library in dist stays as it is. The maps are not in the package: they read a stack trace that somebody
 * has reported.
 */

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import koffi from "koffi";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const files = readdirSync(dist, { recursive: true, encoding: "utf8" });
const isEntry = (/** @type {string} */ name) =>
  /^cli\/programs\/[^/]+\.js$|(^|[/-])worker\.js$/.test(name);
const entries = files.filter(isEntry).map((name) => join(dist, name));
for (const directory of new Set(entries.map((entry) => dirname(entry)))) {
  await bundle(
    directory,
    entries.filter((entry) => dirname(entry) === directory),
  );
}

/**
 * @param {string} directory
 * @param {readonly string[]} entryPoints
 */
async function bundle(directory, entryPoints) {
  await build({
    entryPoints: [...entryPoints],
    outdir: directory,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20.20",
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: "external",
    logLevel: "warning",
    plugins: [
      {
        name: "import.meta",
        setup: (hooks) => hooks.onLoad({ filter: /\.js$/ }, ({ path }) => load(path, directory)),
      },
      { name: "koffi", setup: replaceKoffi },
    ],
  });
}

/**
 * CommonJS has no `import.meta`: gives each module the address of its own unbundled file.
 *
 * @param {string} path
 * @param {string} directory where the bundle goes
 * @returns {import("esbuild").OnLoadResult | undefined}
 */
function load(path, directory) {
  const source = readFileSync(path, "utf8");
  if (!source.includes("import.meta")) return undefined;
  const file = JSON.stringify(relative(directory, path));
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

/**
 * koffi is not bundled, and its binary is loaded without the code around it: that looks for the binary for
 * 8 ms at each start (Node 24; 5 on Node 20) and adds what was deprecated. Where the binary does not lie
 * where npm puts it, is not for this C library or is another version's, koffi itself is asked.
 *
 * @param {import("esbuild").PluginBuild} hooks
 */
function replaceKoffi(hooks) {
  const contents = `
    function load() {
      const name = "linux_" + process.arch;
      try {
        const native = require("@koromix/koffi-linux-" + process.arch + "/" + name + "/koffi.node");
        if (native.version === ${JSON.stringify(koffi.version)}) return native;
      } catch {}
      return require("koffi");
    }
    export default load();`;
  hooks.onResolve({ filter: /^koffi$/ }, ({ namespace }) =>
    namespace === "koffi" ? { external: true } : { path: "koffi", namespace: "koffi" },
  );
  hooks.onLoad({ filter: /./, namespace: "koffi" }, () => ({ contents, loader: "js" }));
}
