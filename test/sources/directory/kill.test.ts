import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { byteString } from "#src/core/mod.ts";
import { scanDirectory } from "#src/sources/mod.ts";
import { filesBelow, noise, problemsOfStore, roomyTempDir } from "./support.ts";
import { runAndKill } from "../../support/run-and-kill.ts";

/** How many processes are killed: 200 with COMPOSEFS_KILLS=200, which takes some minutes. */
const KILLS = Number(process.env["COMPOSEFS_KILLS"] ?? 15);

const dist = new URL("../../../dist/", import.meta.url).href;

/** Fills a store and writes the image, as the command does. */
function script(dir: string, store: string, image: string): string {
  return `
    import { scanDirectory } from "${dist}sources/mod.js";
    import { createAtomicFile } from "${dist}floor/mod.js";
    import { validateTree } from "${dist}core/tree/validate.js";
    import { writeImage } from "${dist}core/erofs/writer.js";
    process.stdout.write("ready");
    const { root } = await scanDirectory(${JSON.stringify(dir)}, {
      digestStore: ${JSON.stringify(store)}, threads: 2 });
    const file = createAtomicFile(${JSON.stringify(image)});
    file.write(writeImage(validateTree(root), { version: 0 }));
    file.commit();`;
}

test(
  `scanDirectory: ${KILLS} kills leave no partial object and no image without its objects`,
  async () => {
    const dir = roomyTempDir();
    for (let d = 0; d < 12; d++) {
      mkdirSync(join(dir, `${d}`));
      for (let f = 0; f < 90; f++) {
        writeFileSync(
          join(dir, `${d}/${f}`),
          noise(100 + (((d * 100 + f) * 7919) % 9000), d * 100 + f),
        );
      }
    }
    writeFileSync(join(dir, "large"), noise(9_000_000, 1));
    const { counts } = await scanDirectory(byteString(dir));
    const place = roomyTempDir();
    const store = join(place, "store");
    const image = join(place, "image");
    const code = script(dir, store, image);
    const whole = await runAndKill(code, 60_000);
    expect(whole.killed).toBe(false);

    let kills = 0;
    for (let i = 0; i < KILLS; i++) {
      // Every third time the store has what the killed one left in it.
      if (i % 3 !== 0) rmSync(store, { recursive: true, force: true });
      rmSync(image, { force: true });
      const { killed } = await runAndKill(code, Math.random() * whole.ran * 1.1);
      if (killed) kills++;
      const objects = filesBelow(store);
      expect(objects.filter((name) => name.includes(".tmp"))).toEqual([]);
      expect(problemsOfStore(store)).toEqual([]);
      if (!existsSync(image)) continue;
      expect(objects).toHaveLength(counts.externalFiles);
    }
    expect(kills).toBeGreaterThan(0);
  },
  60_000 + KILLS * 3000,
);
