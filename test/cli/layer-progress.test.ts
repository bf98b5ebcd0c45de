import { describe, expect, test } from "vitest";
import type { OciDigest } from "#src/core/mod.ts";
import type { PullEvent } from "#src/sources/mod.ts";
import { LayerTable, openLayerProgress } from "#src/cli/output/layer-progress.ts";
import { Output } from "#src/cli/output/output.ts";
import type { ProgressMode } from "#src/cli/output/progress.ts";

const MIB = 2 ** 20;
const digest = (digit: string): OciDigest => `sha256:${digit.repeat(64)}` as OciDigest;

const START: PullEvent = {
  kind: "layers",
  layers: [
    { digest: digest("a"), size: 100 * MIB, isPresent: false },
    { digest: digest("b"), size: 10 * MIB, isPresent: true },
    { digest: digest("c"), size: 50 * MIB, isPresent: false },
  ],
};
const progress = (index: number, mib: number): PullEvent => ({
  kind: "progress",
  index,
  fetched: mib * MIB,
});

describe("LayerTable", () => {
  test("shows each layer that is on its way, and all of them", () => {
    const table = new LayerTable();
    table.update(START, 0);
    table.update(progress(0, 0), 0);
    table.update(progress(0, 20), 1000);
    table.update(progress(2, 0), 1000);
    table.update(progress(2, 5), 2000);
    expect(table.lines(2000, 80)).toEqual([
      "aaaaaaaaaaaa  20.0 MiB of 100 MiB  10.0 MiB/s  8 s left",
      "cccccccccccc  5.00 MiB of 50.0 MiB  5.00 MiB/s  9 s left",
      "Layers: 0 of 2, 25.0 MiB of 150 MiB, 12.5 MiB/s, 10 s left",
    ]);
    expect(table.lines(2000, 20)[0]).toBe("aaaaaaaaaaaa  20.0 M");
  });

  test("counts what was not needed, and what comes after the layers", () => {
    const table = new LayerTable();
    table.update(START, 0);
    table.update(progress(0, 10), 1000);
    table.update({ kind: "layer-done", index: 0, saved: 90 * MIB }, 1000);
    expect(table.totalLine(1000)).toBe(
      "Layers: 1 of 2, 10.0 MiB of 60.0 MiB, 10.0 MiB/s, 5 s left",
    );
    expect(table.doneLine(0, 2000)).toBe(
      "Layer aaaaaaaaaaaa: 10.0 MiB, 10.0 MiB/s, 90.0 MiB were here already",
    );
    table.update({ kind: "composing" }, 2000);
    expect(table.lines(2000, 80)).toEqual(["Making the image"]);
    table.update({ kind: "committing" }, 2000);
    expect(table.lines(2000, 80)).toEqual(["Writing to the disk"]);
  });

  test("knows what of a layer is not needed as soon as that is decided", () => {
    const table = new LayerTable();
    table.update(START, 0);
    const reused = { files: 7, bytes: 5 };
    const decision = { way: "partial", needed: 20 * MIB, reused } as const;
    const event: PullEvent = { kind: "chunked", index: 0, decision };
    table.update(event, 0);
    table.update({ kind: "chunked", index: 2, decision: { way: "whole", reason: "x" } }, 0);
    table.update(progress(0, 0), 0);
    table.update(progress(0, 10), 1000);
    expect(table.lines(1000, 80)).toEqual([
      "aaaaaaaaaaaa  10.0 MiB of 20.0 MiB  10.0 MiB/s  1 s left",
      "Layers: 0 of 2, 10.0 MiB of 70.0 MiB, 10.0 MiB/s, 6 s left",
    ]);
    expect(JSON.parse(table.json(event, 0))).toEqual({
      event: "chunked",
      layer: 0,
      digest: digest("a"),
      ...decision,
    });
  });

  test("bounds the lines", () => {
    const table = new LayerTable();
    const layers = Array.from({ length: 40 }, (_, i) => ({
      ...{ digest: digest((i % 10).toString()), size: MIB, isPresent: false },
    }));
    table.update({ kind: "layers", layers }, 0);
    for (const index of layers.keys()) table.update(progress(index, 0), 0);
    expect(table.lines(0, 80)).toHaveLength(13);
  });
});

/** What is written while a pull of two layers goes on, an event each 600 ms. */
function shown(mode: ProgressMode, isTerminal = false): string {
  let text = "";
  let now = 0;
  const output = new Output((chunk) => (text += Buffer.from(chunk).toString()), { isTerminal });
  const display = openLayerProgress(
    output,
    mode,
    () => now,
    () => 80,
  );
  const events: PullEvent[] = [
    START,
    progress(0, 0),
    progress(0, 30),
    progress(2, 0),
    progress(2, 50),
    { kind: "layer-done", index: 2, saved: 0 },
    { kind: "composing" },
  ];
  for (const event of events) {
    display.update(event);
    now += 600;
  }
  display.close();
  display.close();
  return text;
}

describe("openLayerProgress", () => {
  test("writes nothing when told so", () => {
    expect(shown("none")).toBe("");
  });

  test("rewrites its lines on a terminal, and removes them", () => {
    const text = shown("auto", true);
    expect(text).toContain("aaaaaaaaaaaa  30.0 MiB of 100 MiB");
    // Three lines: back to the first, and all of it cleared.
    expect(text).toContain("\x1b[2A\r\x1b[J");
    expect(text.slice(-20)).toBe("Making the image\r\x1b[J");
  });

  test("writes a line for each layer that is done elsewhere", () => {
    expect(shown("auto")).toBe("Layer cccccccccccc: 50.0 MiB, 41.7 MiB/s\n");
  });

  test("writes JSON for programs", () => {
    const lines = shown("json").trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ event, layer }) => [event, layer])).toEqual([
      ["layers", undefined],
      ["progress", 0],
      ["progress", 2],
      ["layer-done", 2],
      ["composing", undefined],
    ]);
    expect(events[3]).toEqual({
      ...{ event: "layer-done", layer: 2, digest: digest("c") },
      ...{ bytes: 50 * MIB, totalBytes: 50 * MIB, savedBytes: 0 },
      ...{ bytesPerSecond: Math.round((50 * MIB) / 1.2), secondsLeft: 0 },
    });
  });
});
