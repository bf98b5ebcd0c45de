/**
 * Images that lie: whatever bit is wrong and wherever the file ends, the reader answers or throws an
 * `ImageError`, at once and in little memory.
 */

import { describe, expect, test } from "vitest";
import { byteString, formatDump, memorySource } from "#src/core/mod.ts";
import type { FormatVersion } from "#src/core/mod.ts";
import { explainImage } from "#src/core/erofs/explain.ts";
import { readTree } from "#src/core/erofs/read-tree.ts";
import { openImage } from "#src/core/erofs/reader.ts";
import { imageOfDump, sampleImage } from "./sample.ts";

const DEEP = byteString("/dir/sub/deep/leaf");
const TIME_LIMIT_MS = 1000;
const MEMORY_LIMIT = 200 * 2 ** 20;

/** Mulberry32: the same numbers in each run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Does all that a reader can do; returns what came of it. Anything but an `ImageError` is passed on. */
function outcome(image: Uint8Array, thorough: boolean): "answer" | "error" {
  const work = [
    () => {
      const root = readTree(openImage(memorySource(image)));
      if (thorough) for (const line of formatDump(root)) void line;
    },
    () => {
      const opened = openImage(memorySource(image));
      const leaf = opened.lookup(DEEP);
      if (leaf !== undefined) opened.rawXattrs(leaf);
      opened.rawXattrs(opened.root());
    },
  ];
  if (thorough) {
    work.push(() => {
      let position = 0;
      for (const { offset, length } of explainImage(memorySource(image))) {
        if (offset !== position) throw new Error(`gap or overlap at ${offset}, not ${position}`);
        position += length;
      }
      if (position !== image.length) throw new Error(`explained ${position} bytes`);
    });
  }
  let found: "answer" | "error" = "answer";
  for (const run of work) {
    // Processor time: what else runs on the machine must not count.
    const start = process.cpuUsage();
    try {
      run();
    } catch (error) {
      if ((error as Error).name !== "ImageError") throw error;
      found = "error";
    }
    const { user, system } = process.cpuUsage(start);
    const elapsed = (user + system) / 1000;
    if (elapsed > TIME_LIMIT_MS) throw new Error(`took ${elapsed} ms`);
  }
  return found;
}

/** Runs `body` and checks that memory did not grow by more than the limit while it ran. */
function withinMemory(body: (sample: () => void) => void): void {
  const before = process.memoryUsage.rss();
  let most = before;
  body(() => {
    most = Math.max(most, process.memoryUsage.rss());
  });
  expect(most - before).toBeLessThan(MEMORY_LIMIT);
}

describe.each([0, 1, 2] as const)("reading a broken V%i image", (version: FormatVersion) => {
  const good = sampleImage(version);

  test("gives an answer or an ImageError for every bit flipped in the first 4 KiB", () => {
    const image = good.slice();
    const counts = { answer: 0, error: 0 };
    withinMemory((sample) => {
      for (let bit = 0; bit < 4096 * 8; bit++) {
        const mask = 1 << (bit & 7);
        image[bit >> 3]! ^= mask;
        counts[outcome(image, bit % 32 === version)]++;
        image[bit >> 3]! ^= mask;
        if (bit % 1024 === 0) sample();
      }
    });
    expect(counts.answer + counts.error).toBe(32768);
    expect(counts.error).toBeGreaterThan(500);
  }, 300_000);

  test("gives an answer or an ImageError for 10,000 bits flipped elsewhere", () => {
    const image = good.slice();
    const next = random(1 + version);
    const counts = { answer: 0, error: 0 };
    withinMemory((sample) => {
      for (let i = 0; i < 10_000; i++) {
        const at = 4096 + next(image.length - 4096);
        const mask = 1 << next(8);
        image[at]! ^= mask;
        counts[outcome(image, i % 32 === 0)]++;
        image[at]! ^= mask;
        if (i % 1024 === 0) sample();
      }
    });
    expect(counts.answer + counts.error).toBe(10_000);
    expect(counts.error).toBeGreaterThan(500);
  }, 300_000);

  test("gives an answer or an ImageError for 2,000 images with many bytes replaced", () => {
    const next = random(100 + version);
    let errors = 0;
    for (let i = 0; i < 2000; i++) {
      const image = good.slice();
      for (let n = 1 + next(20); n > 0; n--) image[next(image.length)] = next(256);
      if (outcome(image, i % 8 === 0) === "error") errors++;
    }
    expect(errors).toBeGreaterThan(500);
  }, 300_000);

  test("gives an ImageError wherever the file is cut", () => {
    for (let size = 0; size < good.length; size++) {
      const cut = good.subarray(0, size);
      if (outcome(cut, size % 64 === 0) !== "error") throw new Error(`no error at ${size} bytes`);
    }
    expect(outcome(good, true)).toBe("answer");
  }, 300_000);

  test("gives an answer or an ImageError when the super block hides that the file is cut", () => {
    const image = good.slice();
    image.fill(0, 1024 + 36, 1024 + 40); // blocks
    image.fill(0, 1024 + 16, 1024 + 24); // inos
    let errors = 0;
    for (let size = 1152; size < good.length; size += 3) {
      if (outcome(image.subarray(0, size), size % 64 === 0) === "error") errors++;
    }
    expect(errors).toBeGreaterThan(0);
  }, 300_000);
});

describe("reading an image that asks for more than it has", () => {
  const lines = (count: number, line: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => `${line(i)}\n`).join("");
  const view = (image: Uint8Array): DataView => new DataView(image.buffer, image.byteOffset);

  test("refuses directories that share their blocks", () => {
    // 2,000 directories of three blocks each; all are then told to use the first one's second block.
    const names = lines(
      250,
      (i) => `/d/shared-${String(i).padStart(24, "0")} 0 100644 1 0 0 0 0.0 - - -`,
    );
    const more = lines(2000, (i) => `/e${i} 0 40755 2 0 0 0 0.0 - - -`);
    const image = imageOfDump(
      `/ 0 40755 2 0 0 0 0.0 - - -\n/d 0 40755 2 0 0 0 0.0 - - -\n${names}${more}`,
      2,
    );
    const opened = openImage(memorySource(image));
    const shared = opened.lookup(byteString("/d"))!;
    const data = view(image);
    for (let i = 0; i < 2000; i++) {
      const { offset } = opened.lookup(byteString(`/e${i}`))!;
      data.setUint16(offset, 1, true);
      data.setUint32(offset + 8, 2 ** 20, true);
      data.setUint32(offset + 16, shared.u, true);
    }
    expect(outcome(image, true)).toBe("error");
  });

  test("refuses inline files that share their blocks", () => {
    const files = lines(3000, (i) => `/f${i} 3000 100644 1 0 0 0 0.0 - ${"x".repeat(3000)} -`);
    const image = imageOfDump(`/ 0 40755 2 0 0 0 0.0 - - -\n${files}`, 1);
    const opened = openImage(memorySource(image));
    const data = view(image);
    for (let i = 0; i < 3000; i++) {
      const { offset, u } = opened.lookup(byteString(`/f${i}`))!;
      data.setUint32(offset + 8, 4999, true);
      data.setUint32(offset + 16, u - (u % 16), true);
    }
    withinMemory((sample) => {
      expect(outcome(image, true)).toBe("error");
      sample();
    });
  });

  test("refuses shared xattrs that overlap", () => {
    const value = "v".repeat(30_000);
    const files = lines(255, (i) => `/f${i} 0 100644 1 0 0 0 0.0 - - - user.a=${value}`);
    const image = imageOfDump(`/ 0 40755 2 0 0 0 0.0 - - -\n${files}`, 1);
    const opened = openImage(memorySource(image));
    const data = view(image);
    const start = opened.lookup(byteString("/f0"))!;
    const id = data.getUint32(start.xattrOffset + 12, true);
    const table = opened.superBlock.xattrBlkaddr * 4096 + id * 4;
    // An entry every 4 bytes inside the value, each claiming 20,000 bytes from there on.
    for (let i = 0; i < 255; i++) {
      const entry = table + 16 + i * 8;
      image.set([1, 1, 0x20, 0x4e, 0x41 + (i % 50), 0, 0, 0], entry);
      const { xattrOffset } = opened.lookup(byteString(`/f${i}`))!;
      data.setUint32(xattrOffset + 12, id + 4 + i * 2, true);
    }
    withinMemory((sample) => {
      expect(() => readTree(openImage(memorySource(image)))).toThrow("shared xattrs overlap");
      expect(outcome(image, true)).toBe("error");
      sample();
    });
  });

  test("keeps one copy of a value that many inodes share", () => {
    const files = lines(
      300,
      (i) => `/f${i} 0 100644 1 0 0 0 0.0 - - - user.a=${"v".repeat(30_000)}`,
    );
    const image = imageOfDump(`/ 0 40755 2 0 0 0 0.0 - - -\n${files}`, 1);
    const { entries } = readTree(openImage(memorySource(image)));
    const values = [...entries.values()].map(
      (node) => node.kind === "file" && node.stat.xattrs.get(byteString("user.a")),
    );
    expect(values).toHaveLength(300);
    expect(new Set(values).size).toBe(1);
  });

  test("keeps one copy of a backing path that many files share", () => {
    const path = "p".repeat(4000);
    const files = lines(20_000, (i) => `/f${i} 7 100644 1 0 0 0 0.0 ${path} - -`);
    const image = imageOfDump(`/ 0 40755 2 0 0 0 0.0 - - -\n${files}`, 1);
    expect(image.length).toBeLessThan(3e6);
    withinMemory((sample) => {
      const { entries } = readTree(openImage(memorySource(image)));
      for (const node of entries.values()) {
        expect(node.kind === "file" && node.content).toMatchObject({ path });
        break;
      }
      expect(entries.size).toBe(20_000);
      sample();
    });
  });

  test("refuses inodes that lie in each other's xattrs", () => {
    const files = lines(5000, (i) => `/f${i} 0 100644 1 0 0 0 0.0 - - -`);
    const image = imageOfDump(`/ 0 40755 2 0 0 0 0.0 - - -\n${files}`, 2);
    const opened = openImage(memorySource(image));
    const data = view(image);
    for (let i = 0; i < 5000; i++) {
      const { offset } = opened.lookup(byteString(`/f${i}`))!;
      data.setUint16(offset + 2, 0x4000, true); // i_xattr_icount: 64 KiB of xattrs
    }
    expect(outcome(image, true)).toBe("error");
  });
});
