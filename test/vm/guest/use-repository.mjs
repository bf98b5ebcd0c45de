/**
 * Uses a repository that requires fs-verity, in the guest: `use-repository.mjs DIRECTORY SOURCE`. Prints one
 * JSON object: what came of each step, by its name; an error is its code.
 */

import { spawn } from "node:child_process";
import { copyFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const dist = "/opt/composefs/dist";
const { objectPath, fsVerityDigestFrom } = await import(`${dist}/core/mod.js`);
const { Repository, initRepository } = await import(`${dist}/store/mod.js`);
const { scanDirectory } = await import(`${dist}/sources/mod.js`);
const floor = await import(`${dist}/floor/mod.js`);

const [, , path, source] = process.argv;
const steps = {};

/** Notes what a step returns, or the code of what it throws. */
async function step(name, work) {
  try {
    steps[name] = await work();
  } catch (error) {
    steps[name] = error.code ?? String(error.stack);
  }
}

function withFile(file, work) {
  const fd = floor.openat(floor.AT_FDCWD, file, floor.O_RDONLY);
  try {
    return work(fd);
  } finally {
    floor.close(fd);
  }
}

/** The digest that the kernel enforces. */
function measure(file) {
  const measured = withFile(file, floor.measureVerity);
  return measured === undefined ? "none" : fsVerityDigestFrom(measured.digest);
}

const options = {
  algorithm: "sha512",
  verity: "required",
  formats: { default: 1, extra: [] },
};

await step("no fs-verity", () => initRepository("/tmp/repository", options));
await step("init", () => initRepository(path, options).outcome);
await step("init again", () => initRepository(path, options).outcome);
await step("meta.json", () => measure(join(path, "meta.json")) !== "none");

const repository = Repository.open(path, { verity: "required" });
const transaction = repository.begin();
const data = (size, fill) => Buffer.alloc(size, fill);
const digests = {};

await step("commit", async () => {
  digests.small = transaction.objects.put(data(100, "small")).digest;
  const large = transaction.objects.begin(3_000_000);
  for (let n = 0; n < 30; n++) large.write(data(100_000, `large ${n}`));
  digests.large = large.finish().digest;
  digests.stream = transaction.putStream("stream", data(5000, "stream"));
  digests.image = transaction.putImage(data(8192, "image"));
  transaction.setRef("images", "name", digests.image);
  await transaction.commit();
  return transaction.objects.stats.copied.objects;
});

await step("scan", async () => {
  const { counts } = await scanDirectory(source, { objects: repository.objects });
  return counts.newObjects;
});

/** Imports a file that may be linked; returns how, and whether the object is enforced. */
function importLinked(name, prepare) {
  const file = join(path, name);
  writeFileSync(file, data(10_000, name));
  prepare(file);
  const { digest, how } = withFile(file, (fd) =>
    transaction.objects.importFile(fd, statSync(file).size, { mayHardlink: true }),
  );
  transaction.objects.publish();
  return [how, measure(objectFile(digest)) === digest];
}

await step("import", () => importLinked("to-import", () => undefined));
await step("import with other fs-verity", () =>
  importLinked("to-import-with-sha256", (file) =>
    withFile(file, (fd) => floor.enableVerity(fd, "sha256")),
  ),
);

// Somebody else keeps the file open for writing: its content goes into another one.
await step("held open", () => {
  transaction.objects.put(data(20_000, "held open"));
  const staged = transaction.objects.take();
  const held = floor.openat(floor.AT_FDCWD, `/proc/self/fd/${staged[0].fd}`, floor.O_RDWR);
  transaction.objects.adopt(staged);
  transaction.objects.publish();
  floor.close(held);
  return measure(objectFile(staged[0].digest)) === staged[0].digest;
});

// A forked child has all descriptors until it runs another program: what was open for writing keeps a
// file from becoming immutable for that time.
await step("busy", () => {
  const children = [];
  for (let n = 0; n < 20; n++) {
    transaction.objects.put(data(1000 + n, "busy"));
    children.push(spawn("true", { stdio: "ignore" }));
    transaction.objects.publish();
  }
  for (const child of children) child.unref();
  return "published";
});

await step("all objects are enforced", () => {
  const objects = join(path, "objects");
  const names = readdirSync(objects).flatMap((prefix) =>
    readdirSync(join(objects, prefix)).map((rest) => `${prefix}/${rest}`),
  );
  return names.filter((name) => measure(join(objects, name)) !== name.replace("/", ""));
});

await step("read", () => {
  floor.close(repository.openObject(digests.small));
  const image = repository.openImage("name");
  floor.close(image.fd);
  return [
    repository.readObject(digests.large, 4_000_000).length,
    image.isEnforced,
    repository.readObject(digests.stream, 5000).length,
  ];
});

// The same bytes without fs-verity.
const unsealed = objectFile(digests.small);
copyFileSync(unsealed, `${unsealed}.copy`);
renameSync(`${unsealed}.copy`, unsealed);
await step("unsealed object", () => repository.openObject(digests.small));
await step("unsealed object, read", () => repository.readObject(digests.small, 1000));
await step("unsealed object, again", async () => {
  const { stored } = transaction.objects.put(data(100, "small"));
  await transaction.commit();
  return [stored, measure(unsealed) === digests.small];
});

// Another object under the name of the image.
const image = objectFile(digests.image);
rmSync(image);
withFile(objectFile(digests.large), (fd) => floor.linkFd(fd, floor.AT_FDCWD, image));
await step("other object", () => repository.openImage("name"));
await step("other object, again", async () => {
  transaction.putImage(data(8192, "image"));
  await transaction.commit();
  floor.close(repository.openImage("name").fd);
  return measure(image) === digests.image;
});
repository.close();

// A repository that was copied somewhere without its fs-verity asks for less; who asks for more hears it.
const meta = join(path, "meta.json");
copyFileSync(meta, join(dirname(meta), "copy"));
renameSync(join(dirname(meta), "copy"), meta);
await step("downgraded", () => Repository.open(path).verity);
await step("downgraded, required", () => Repository.open(path, { verity: "required" }));
await step("downgraded, init", () => initRepository(path, options));
await step("downgraded, ensure", () => initRepository(path, { ...options, ensure: true }));
rmSync(meta);
await step("upgraded", () => {
  const upgraded = Repository.open(path, { upgrade: true, verity: "required" });
  upgraded.close();
  return [upgraded.verity, upgraded.algorithm, measure(meta) !== "none"];
});

console.log(JSON.stringify({ steps, digests }));

function objectFile(digest) {
  return join(path, "objects", objectPath(digest));
}
