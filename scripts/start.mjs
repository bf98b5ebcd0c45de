/**
 * `npm start`: on a fresh clone with nothing done before, installs, builds and does the main job on real
 * input: an image and its object store are made from a directory, read back, and where permitted
 * mounted, compared with the source and unmounted.
 *
 *     npm start                   a tree of this machine
 *     npm start -- DIR            DIR
 *     npm start -- DIR OUTPUT     DIR, with image and objects in OUTPUT instead of .cache/start
 */

import { createHash } from "node:crypto";
import { mkdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative, resolve } from "node:path";
import { chooseTree } from "./choose-tree.mjs";
import { CHECKOUT, launch, LauncherError, prepareCheckout } from "./checkout.mjs";
import { compareTrees } from "./compare-trees.mjs";

await launch(async () => {
  const [directory, output] = process.argv.slice(2).filter((arg) => arg !== "--");
  if (directory !== undefined && !statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new LauncherError(`Cannot start on "${directory}": not a directory`);
  }
  prepareCheckout();
  const source = directory === undefined ? chooseTree() : resolve(directory);
  const work = output === undefined ? join(CHECKOUT, ".cache", "start") : resolve(output);
  mkdirSync(work, { recursive: true });
  await demonstrate(source, work);
  const shown = relative(process.cwd(), join(work, "image.cfs"));
  console.log(`\nTo go on:  ./bin/composefs ls ${shown}`);
  return 0;
});

/**
 * @param {string} source
 * @param {string} work
 */
async function demonstrate(source, work) {
  // Only now: before prepareCheckout there was nothing to import.
  const composefs = await import("composefs");
  const { blockHash, createAtomicFile, openFileSource } = await import("composefs/floor");
  const { byteString } = composefs;
  const image = join(work, "image.cfs");
  const objects = join(work, "objects");

  console.log(`Source     ${source}`);
  const scanned = timer();
  const { root, counts } = await composefs.scanDirectory(byteString(source), {
    digestStore: byteString(objects),
    hardlinks: true,
    onProgress: showProgress,
  });
  clearProgress();
  const scanTime = scanned();
  const entries = counts.directories + counts.leaves;
  console.log(
    `           ${number(counts.leaves)} files in ${number(counts.directories)} directories`,
  );
  const { externalFiles, externalBytes, objects: stored, objectBytes } = counts;
  const saved = externalBytes - objectBytes;
  const share = externalBytes === 0 ? 0 : (100 * saved) / externalBytes;
  console.log(
    `Objects    ${number(stored)} of ${bytes(objectBytes)} in all, ` +
      `for ${number(externalFiles)} files of ${bytes(externalBytes)}`,
  );
  console.log(`           ${bytes(saved)} (${share.toFixed(1)} %) saved by deduplication`);
  console.log(
    `           read, hashed and stored in ${scanTime} on ${availableParallelism()} processors`,
  );

  const written = timer();
  const tree = composefs.validateTree(root);
  const version = composefs.chooseFormatVersion(tree, { minVersion: 0, maxVersion: 1 });
  const made = composefs.writeImage(tree, { version });
  const digest = composefs.computeFsVerityDigest(made, blockHash("sha256"));
  const file = createAtomicFile(byteString(image));
  file.write(made);
  file.commit();
  console.log(
    `Image      ${bytes(made.length)}, format version ${version}, written in ${written()}`,
  );
  console.log(`Digest     ${digest}`);

  const read = timer();
  const opened = openFileSource(byteString(image));
  const copy = composefs.readTree(composefs.openImage(opened));
  opened.close();
  const again = composefs.writeImage(composefs.validateTree(copy), { version });
  if (sha256(again) !== sha256(made)) {
    throw new LauncherError("Cannot read the image back: written again, it has other bytes");
  }
  console.log(`Read back  ${number(entries)} entries; written again, the same bytes, in ${read()}`);

  await mountAndCompare(source, image, objects, work);
}

/**
 * @param {string} source
 * @param {string} image
 * @param {string} objects
 * @param {string} work
 */
async function mountAndCompare(source, image, objects, work) {
  const { byteString, mountComposefs, unmount } = await import("composefs");
  if (process.getuid?.() !== 0) {
    console.log("Mount      left out: it needs root");
    return;
  }
  const target = join(work, "mounted");
  mkdirSync(target, { recursive: true });
  try {
    mountComposefs({
      image: byteString(image),
      target: byteString(target),
      basedirs: [byteString(objects)],
      verity: "off",
      readOnly: true,
    });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    console.log(`Mount      left out: ${error.message}`);
    return;
  }
  try {
    const compared = timer();
    const { AT_FDCWD, getXattrAt, listXattrsAt } = await import("composefs/floor");
    const xattrsOf = (/** @type {string} */ path) =>
      [...listXattrsAt(AT_FDCWD, path)]
        .sort()
        .map((name) => `${name}=${Buffer.from(getXattrAt(AT_FDCWD, path, name)).toString("hex")}`)
        .join(" ");
    const { entries, differences } = compareTrees(source, target, xattrsOf);
    const what = "content, modes, owners, times, xattrs and hard links";
    if (differences.length > 0) {
      for (const line of differences.slice(0, 20)) console.error(`           ${line}`);
      throw new LauncherError(
        `The mounted image differs from ${source} in ${number(differences.length)} places`,
      );
    }
    console.log(
      `Mounted    ${number(entries)} entries equal the source in ${what}, in ${compared()}`,
    );
  } finally {
    unmount(byteString(target));
    console.log("Unmounted");
  }
}

/**
 * Whether the machine does not let us mount, as in a container without the right to.
 *
 * @param {unknown} error
 * @returns {error is Error}
 */
function isRefusal(error) {
  if (!(error instanceof Error)) return false;
  const { errnoName } = /** @type {{ errnoName?: string }} */ (error.cause ?? error);
  return ["EPERM", "EACCES", "ENODEV", "ENOSYS"].includes(errnoName ?? "");
}

/** @param {{ phase: string, files: number, bytes: number }} progress */
function showProgress({ phase, files, bytes: done }) {
  if (process.stdout.isTTY) {
    process.stdout.write(`\r\u001B[K           ${phase}: ${number(files)} entries, ${bytes(done)}`);
  }
}

function clearProgress() {
  if (process.stdout.isTTY) process.stdout.write("\r\u001B[K");
}

/** @returns {() => string} */
function timer() {
  const start = performance.now();
  return () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** @param {number} count */
function number(count) {
  return count.toLocaleString("en");
}

/** @param {number} count */
function bytes(count) {
  if (count < 1e6) return `${(count / 1e3).toFixed(1)} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(2)} GB`;
}

/** @param {Uint8Array} data */
function sha256(data) {
  return createHash("sha256").update(data).digest("hex");
}
