/**
 * Looks at the stores that power cuts left behind, in the guest: `check-store.mjs FORMAT DEVICE...`, with the files
 * that were to be stored mounted on /a. For each device it prints one JSON object:
 *
 *   objects   files under the name of an object
 *   others    files in the store under another name: what was being written
 *   hasImage  whether the image is there
 *   problems  what must never be: each a sentence
 *   again     status and output of the same command, run once more, and the image's digest after it
 */

import { closeSync, existsSync, openSync, readdirSync } from "node:fs";

const dist = "/opt/composefs/dist";
const { objectPath, fsVerityDigestFrom, walkTree } = await import(`${dist}/core/mod.js`);
const { openImage } = await import(`${dist}/core/erofs/reader.js`);
const { readTree } = await import(`${dist}/core/erofs/read-tree.js`);
const { measureVerity, mount, openFileSource, umount2 } = await import(`${dist}/floor/mod.js`);
const mkcomposefs = await import(`${dist}/cli/drop-ins/mkcomposefs.js`);
const { Output } = await import(`${dist}/cli/output/output.js`);

const STORE = "/b/objects";
const IMAGE = "/b/image.cfs";

const [, , format, ...devices] = process.argv;
for (const device of devices) {
  // Here and not by a program: to start one, Node copies itself, which takes an emulated processor long.
  mount(device, "/b", format, 0, "");
  const found = inspect();
  const again = await ingest();
  const afterwards = inspect();
  umount2("/b", 0);
  console.log(
    JSON.stringify({
      ...found,
      problems: [
        ...found.problems,
        ...afterwards.problems.map((problem) => `after the same command: ${problem}`),
      ],
      again: { ...again, objects: afterwards.objects },
    }),
  );
}

/** The same command, in this process: starting Node costs an emulated processor a second each time. */
async function ingest() {
  let output = "";
  const collect = new Output((chunk) => (output += Buffer.from(chunk)));
  const args = ["--print-digest", `--digest-store=${STORE}`, "/a", IMAGE];
  const status = await mkcomposefs.run(args, { out: collect, err: collect, env: process.env });
  collect.flush();
  return { status, output: output.trim() };
}

function inspect() {
  const found = { objects: 0, others: 0, hasImage: existsSync(IMAGE), problems: [] };
  const objects = new Set();
  for (const entry of existsSync(STORE)
    ? readdirSync(STORE, { recursive: true, withFileTypes: true })
    : []) {
    if (!entry.isFile()) continue;
    const path = `${entry.parentPath}/${entry.name}`.slice(STORE.length + 1);
    if (/^[0-9a-f]{2}\/[0-9a-f]{62}$/.test(path)) {
      found.objects += 1;
      objects.add(path);
      const measured = measuredPath(`${STORE}/${path}`);
      if (measured !== path) found.problems.push(`object ${path} measures as ${measured}`);
    } else {
      found.others += 1;
    }
  }
  if (found.hasImage) {
    try {
      for (const path of objectsOfImage()) {
        if (!objects.has(path)) found.problems.push(`the image names a missing object: ${path}`);
      }
    } catch (error) {
      found.problems.push(`the image cannot be read: ${error}`);
    }
  }
  return found;
}

/** The path that the kernel's digest of a file asks for, or what it says instead. */
function measuredPath(file) {
  let fd;
  try {
    fd = openSync(file, "r");
  } catch (error) {
    return error.code;
  }
  try {
    const measured = measureVerity(fd);
    return measured === undefined ? "nothing" : objectPath(fsVerityDigestFrom(measured.digest));
  } finally {
    closeSync(fd);
  }
}

function* objectsOfImage() {
  const source = openFileSource(IMAGE);
  try {
    for (const { node } of walkTree(readTree(openImage(source)))) {
      if (node.kind === "file" && node.content.kind === "external") {
        yield node.content.path.replace(/^\//, "");
      }
    }
  } finally {
    source.close();
  }
}
