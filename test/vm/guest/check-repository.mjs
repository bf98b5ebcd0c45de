/**
 * Looks at the repositories that power cuts left behind, in the guest:
 * `check-repository.mjs FORMAT DEVICE...`. For each device it prints one JSON object:
 *
 *   names     refs of streams and images that there are; -1 if there is no repository
 *   objects   files under the name of an object
 *   others    files in the repository under a temporary name
 *   problems  what must never be: each a sentence
 *   again     names after the same was done once more
 */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { TRANSACTIONS, fill } from "./fill-repository.mjs";

const dist = "/opt/composefs/dist";
const { parseFsVerityDigest } = await import(`${dist}/core/mod.js`);
const { Repository } = await import(`${dist}/store/mod.js`);
const { close, mount, umount2 } = await import(`${dist}/floor/mod.js`);

const PATH = "/b/repository";

const [, , format, ...devices] = process.argv;
for (const device of devices) {
  // Here and not by a program: to start one, Node copies itself, which takes an emulated processor long.
  mount(device, "/b", format, 0, "");
  const found = inspect();
  try {
    await fill(PATH);
  } catch (error) {
    found.problems.push(`the same again: ${error.message}`);
  }
  const afterwards = inspect();
  umount2("/b", 0);
  const problems = afterwards.problems.map((problem) => `after the same again: ${problem}`);
  console.log(
    JSON.stringify({
      ...found,
      problems: [...found.problems, ...problems],
      again: afterwards.names,
    }),
  );
}

function inspect() {
  const found = { names: -1, objects: 0, others: 0, problems: [] };
  if (!existsSync(join(PATH, "meta.json"))) return found;
  let repository;
  try {
    repository = Repository.open(PATH, { verity: "required" });
  } catch (error) {
    found.problems.push(`cannot be opened: ${error.message}`);
    return found;
  }
  const attempt = (what, work) => {
    try {
      return work();
    } catch (error) {
      found.problems.push(`${what}: ${error.message}`);
      return undefined;
    }
  };
  for (const entry of readdirSync(PATH, { recursive: true, withFileTypes: true })) {
    if (entry.name.startsWith(".")) found.others++;
    const prefix = /objects\/([0-9a-f]{2})$/.exec(entry.parentPath ?? entry.path)?.[1];
    if (prefix === undefined || entry.name.startsWith(".")) continue;
    found.objects++;
    const digest = parseFsVerityDigest(prefix + entry.name);
    attempt("an object", () => repository.readObject(digest, 1 << 20));
  }
  const [streams, images] = [repository.listRefs("streams"), repository.listRefs("images")];
  found.names = streams.length + images.length;
  for (const { name } of streams) {
    attempt(`stream ${name}`, () => {
      const opened = repository.openStream(name);
      for (const digest of opened.stream.objectRefs) repository.readObject(digest, 1 << 20);
      opened.close();
    });
  }
  for (const { name } of images) {
    attempt(`image ${name}`, () => close(repository.openImage(name).fd));
  }
  for (const id of repository.listStreams()) {
    attempt(`entry ${id}`, () => repository.openStream(id).close());
  }
  repository.close();
  if (found.names > 2 * TRANSACTIONS) found.problems.push(`there are ${found.names} names`);
  return found;
}
