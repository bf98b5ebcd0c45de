/** Processes that are killed while they fill one repository: what can be found is always whole. */

import { expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import type { Repository } from "#src/store/mod.ts";
import { listing, newRepository, problemsOfObjects } from "./support.ts";
import { runAndKill } from "../support/run-and-kill.ts";

/** How many processes are killed: 200 with COMPOSEFS_KILLS=200, which takes some minutes. */
const KILLS = Number(process.env["COMPOSEFS_KILLS"] ?? 15);

/** The transactions of one process, and the files that each of them stores. */
const ROUNDS = 15;
const FILES = 30;

const dist = new URL("../../dist/", import.meta.url).href;

/**
 * Makes transactions, each with some objects, a stream that needs them, and a ref to it; now and then
 * replaces the stream of an earlier one.
 */
function script(path: string, seed: number): string {
  return `
    import { Repository } from "${dist}store/mod.js";
    import { SplitStreamWriter } from "${dist}core/mod.js";
    const repository = Repository.open(${JSON.stringify(path)});
    process.stdout.write("ready");
    const transaction = repository.begin();
    for (let round = 0; round < ${ROUNDS}; round++) {
      const writer = new SplitStreamWriter({ algorithm: "sha512", contentType: 1n });
      for (let n = 0; n < ${FILES}; n++) {
        const data = Buffer.alloc(100 + 200 * n, "${seed} " + round + " " + n);
        const object = transaction.objects.begin(n % 2 === 0 ? data.length : undefined);
        object.write(data);
        writer.writeExternal(data.length, object.finish().digest);
      }
      const id = "stream-" + (round % 7);
      transaction.putStream(id, writer.finish());
      transaction.setRef("streams", "some/" + id, id);
      await transaction.commit();
    }`;
}

/** What a reader of the repository finds wrong. */
function problemsOf(repository: Repository): string[] {
  const problems = problemsOfObjects(repository.path, repository.algorithm);
  for (const { name } of repository.listRefs("streams")) {
    const { stream, close } = repository.openStream(byteString(name));
    for (const digest of stream.objectRefs) {
      if (!repository.hasObject(digest)) problems.push(`${name} lacks ${digest}`);
    }
    if (stream.objectRefs.length !== FILES) problems.push(`${name} is not whole`);
    close();
  }
  return problems;
}

test(
  `Transaction: ${KILLS} kills leave whole objects, and names only for what is whole`,
  async () => {
    let repository = newRepository();
    const whole = await runAndKill(script(repository.path, -1), 60_000);
    expect(whole.killed).toBe(false);
    let kills = 0;
    for (let i = 0; kills < KILLS; i++) {
      if (i % 10 === 9) {
        // All that is there is hashed each time.
        repository.close();
        repository = newRepository();
      }
      // Two at a time, which meet in their names.
      const delay = Math.random() * whole.ran;
      const ran = await Promise.all([
        runAndKill(script(repository.path, i), delay),
        runAndKill(script(repository.path, i), delay * 1.2),
      ]);
      kills += ran.filter(({ killed }) => killed).length;
      expect(problemsOf(repository)).toEqual([]);
      // A symlink on its way is the one thing that may be left, where nobody looks for names.
      const temporary = listing(repository.path).filter((line) => line.includes(".tmp"));
      expect(temporary.filter((line) => !line.startsWith(".tmp"))).toEqual([]);
    }
    repository.close();
  },
  60_000 + KILLS * 10_000,
);
