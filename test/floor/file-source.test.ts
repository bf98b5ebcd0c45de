import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openFileSource } from "#src/floor/mod.ts";
import { tempDir } from "../support/temp.ts";

const PAGE = 32768;

function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0, state = 7; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

describe("openFileSource", () => {
  test("every range is what the file holds there", () => {
    const content = noise(70 * PAGE + 123);
    const path = join(tempDir(), "f");
    writeFileSync(path, content);
    const source = openFileSource(path);
    expect(source.size).toBe(content.length);
    const offsets = [0, 1, PAGE - 1, PAGE, 3 * PAGE - 7, 64 * PAGE, 66 * PAGE - 100, 70 * PAGE];
    for (const offset of offsets) {
      for (const length of [0, 1, 7, 123, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE]) {
        if (offset + length > content.length) continue;
        const got = Buffer.from(source.read(offset, length));
        expect(got.equals(content.subarray(offset, offset + length))).toBe(true);
      }
    }
    expect(Buffer.from(source.read(0, 9)).equals(content.subarray(0, 9))).toBe(true);
    source.close();
  });

  test("a file that became shorter is an error, not zeros", () => {
    const path = join(tempDir(), "f");
    writeFileSync(path, noise(PAGE * 3));
    const source = openFileSource(path);
    truncateSync(path, PAGE);
    expect(() => source.read(2 * PAGE, 10)).toThrow("ENODATA");
    expect(() => source.read(2 * PAGE, 10)).toThrow("ENODATA");
    source.close();
  });

  test("a directory is refused", () => {
    expect(() => openFileSource(tempDir())).toThrow("EISDIR");
  });
});
