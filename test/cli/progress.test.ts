import { describe, expect, test } from "vitest";
import { Output } from "#src/cli/output/output.ts";
import {
  ProgressMeter,
  formatCount,
  formatDuration,
  formatProgress,
  formatProgressJson,
  formatSize,
  openProgress,
} from "#src/cli/output/progress.ts";
import type { ProgressEvent, ProgressMode } from "#src/cli/output/progress.ts";

const MIB = 2 ** 20;

function digest(files: number, bytes: number): ProgressEvent {
  return { phase: "digest", files, bytes, totalFiles: 1000, totalBytes: 100 * MIB };
}

describe("ProgressMeter", () => {
  test("measures the rate over the last seconds, not over the whole time", () => {
    const meter = new ProgressMeter();
    meter.update(digest(0, 0), 0);
    meter.update(digest(10, 1 * MIB), 10_000);
    for (let s = 1; s <= 5; s++)
      meter.update(digest(10 + s, (1 + 10 * s) * MIB), 10_000 + s * 1000);
    const state = meter.state(15_000)!;
    expect(state.bytesPerSecond / MIB).toBeCloseTo(10, 5);
    expect(state.secondsLeft).toBeCloseTo((100 - 51) / 10, 5);
  });

  test("tells the time left by files where there are no bytes", () => {
    const meter = new ProgressMeter();
    meter.update({ phase: "scan", files: 0, bytes: 0, totalFiles: 300 }, 0);
    meter.update({ phase: "scan", files: 100, bytes: 0, totalFiles: 300 }, 1000);
    expect(meter.state(1000)!.secondsLeft).toBe(2);
  });

  test("starts anew with each phase", () => {
    const meter = new ProgressMeter();
    meter.update(digest(0, 0), 0);
    meter.update(digest(900, 90 * MIB), 1000);
    meter.update({ phase: "store", files: 0, bytes: 0 }, 1100);
    expect(meter.state(1100)).toEqual({
      phase: "store",
      files: 0,
      bytes: 0,
      bytesPerSecond: 0,
      secondsLeft: undefined,
    });
  });

  test("knows nothing before the first event", () => {
    expect(new ProgressMeter().state(0)).toBeUndefined();
  });
});

describe("formatProgress", () => {
  const state = { ...digest(500, 50 * MIB), bytesPerSecond: 25 * MIB, secondsLeft: 2 };

  test("shows files, bytes, rate and time left", () => {
    expect(formatProgress(state)).toBe(
      "Hashing: 500 of 1 000 files, 50.0 MiB of 100 MiB, 25.0 MiB/s, 2 s left",
    );
  });

  test("leaves out what is not known", () => {
    const scan = { phase: "scan", files: 7, bytes: 0, bytesPerSecond: 0, secondsLeft: undefined };
    expect(formatProgress(scan as never)).toBe("Scanning: 7 files");
  });

  test("fits into the width", () => {
    expect(formatProgress(state, 20)).toBe("Hashing: 500 of 1 00");
  });

  test("formatProgressJson: has all keys, null where nothing is known", () => {
    const scan = { phase: "scan", files: 7, bytes: 0, bytesPerSecond: 0.4, secondsLeft: undefined };
    expect(JSON.parse(formatProgressJson(scan as never))).toEqual({
      phase: "scan",
      files: 7,
      totalFiles: null,
      bytes: 0,
      totalBytes: null,
      bytesPerSecond: 0,
      secondsLeft: null,
    });
  });
});

describe("openProgress", () => {
  function play(mode: ProgressMode, isTerminal: boolean, times: readonly number[]): string {
    let written = "";
    let now = 0;
    const output = new Output((chunk) => (written += Buffer.from(chunk).toString()), {
      isTerminal,
    });
    const progress = openProgress(
      output,
      mode,
      () => now,
      () => 40,
    );
    times.forEach((time, i) => {
      now = time;
      progress.update({ phase: "scan", files: i, bytes: 0 });
    });
    progress.close();
    progress.close();
    return written;
  }

  test("auto on a terminal: rewrites one line at most ten times a second, and removes it", () => {
    expect(play("auto", true, [0, 50, 99, 100, 150])).toBe(
      "\r\x1b[KScanning: 0 files\r\x1b[KScanning: 3 files\r\x1b[K",
    );
  });

  test("auto elsewhere: a plain line every five seconds, none for short work", () => {
    expect(play("auto", false, [0, 100, 4999])).toBe("");
    expect(play("auto", false, [0, 5000, 9999, 10_000])).toBe(
      "Scanning: 1 files\nScanning: 3 files\n",
    );
  });

  test("json: an object a line, once a second", () => {
    const lines = play("json", true, [0, 999, 1000]).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).files)).toEqual([0, 2]);
  });

  test("none: writes nothing", () => {
    expect(play("none", true, [0, 10_000])).toBe("");
  });
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "0.98 KiB"],
  [10 * 1024, "10.0 KiB"],
  [999.4 * 1024, "999 KiB"],
  [1023 * 1024, "1.00 MiB"],
  [3.21 * 2 ** 30, "3.21 GiB"],
  [2 ** 53, "8.00 PiB"],
])("formatSize: %d is %s", (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test.each([
  [0.2, "1 s"],
  [59, "59 s"],
  [60, "1 min 00 s"],
  [3599.5, "1 h 00 min"],
  [3720, "1 h 02 min"],
])("formatDuration: %d seconds are %s", (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test.each([
  [0, "0"],
  [999, "999"],
  [1000, "1 000"],
  [1234567, "1 234 567"],
])("formatCount: %d is %s", (count, text) => {
  expect(formatCount(count)).toBe(text);
});
