/**
 * Progress of a pull: on a terminal a line for each layer that is on its way, and one for all of them,
 * which rewrite themselves; elsewhere a line for each layer that is done; or JSON lines for programs.
 *
 * The table is pure: it is told the time. `openLayerProgress` is the thin part that has a clock.
 */

import type { PullEvent, PullLayer } from "../../sources/mod.ts";
import type { Output } from "./output.ts";
import { formatDuration, formatSize } from "./progress.ts";
import type { ProgressMode } from "./progress.ts";
import { RateMeter, secondsLeft } from "./rate.ts";

/** Milliseconds between two pictures on a terminal, two lines elsewhere, two JSON objects of a layer. */
const INTERVAL = { terminal: 100, plain: 5000, json: 1000 } as const;

/** Lines of layers on a terminal; the last line counts those that have none. */
const MAX_LINES = 12;

/** Digits of a digest that tell layers apart. */
const SHORT_DIGEST = 12;

interface LayerState {
  readonly layer: PullLayer;
  fetched: number;
  /** Bytes of the blob that are not needed. */
  saved: number;
  state: "waiting" | "fetching" | "done";
  readonly meter: RateMeter;
}

/** What is known of all layers. Times are milliseconds of any steady clock. */
export class LayerTable {
  #layers: LayerState[] = [];
  readonly #total = new RateMeter();
  #phase: "fetching" | "composing" | "committing" = "fetching";

  /** Takes an event that happened at `now`. */
  update(event: PullEvent, now: number): void {
    switch (event.kind) {
      case "layers":
        this.#layers = event.layers.map((layer) => ({
          layer,
          fetched: 0,
          saved: 0,
          state: layer.isPresent ? "done" : "waiting",
          meter: new RateMeter(),
        }));
        this.#total.update(0, now);
        return;
      case "chunked":
        if (event.decision.way === "partial") {
          const state = this.#layers[event.index]!;
          state.saved = Math.max(0, state.layer.size - event.decision.needed);
        }
        return;
      case "progress": {
        const state = this.#layers[event.index]!;
        if (state.state === "waiting") state.meter.update(0, now);
        state.state = "fetching";
        state.fetched = event.fetched;
        state.meter.update(event.fetched, now);
        this.#total.update(this.#fetched(), now);
        return;
      }
      case "layer-done": {
        const state = this.#layers[event.index]!;
        state.state = "done";
        state.saved = event.saved;
        return;
      }
      default:
        this.#phase = event.kind;
    }
  }

  /** The lines of a terminal of `width` columns. */
  lines(now: number, width: number): string[] {
    const isFetching = this.#phase === "fetching";
    const active = this.#layers.filter(({ state }) => isFetching && state === "fetching");
    const lines = active.slice(0, MAX_LINES).map((state) => this.#layerLine(state, now));
    return [...lines, this.totalLine(now)].map((line) => line.slice(0, width));
  }

  /** All layers in one line. */
  totalLine(now: number): string {
    if (this.#phase === "composing") return "Making the image";
    if (this.#phase === "committing") return "Writing to the disk";
    const wanted = this.#layers.filter(({ layer }) => !layer.isPresent);
    const done = wanted.filter(({ state }) => state === "done");
    const size = sum(wanted.map(({ layer }) => layer.size)) - sum(wanted.map(({ saved }) => saved));
    const parts = [`Layers: ${done.length} of ${wanted.length}`];
    parts.push(...amounts(this.#fetched(), size, this.#total.rate(now)));
    return parts.join(", ");
  }

  /** The line for a layer that is done. */
  doneLine(index: number, now: number): string {
    const { layer, fetched, saved, meter } = this.#layers[index]!;
    const parts = [`Layer ${shortDigest(layer)}: ${formatSize(fetched)}`];
    const rate = meter.rate(now);
    if (rate > 0) parts.push(`${formatSize(rate)}/s`);
    if (saved > 0) parts.push(`${formatSize(saved)} were here already`);
    return parts.join(", ");
  }

  /** One JSON object for an event that happened at `now`; keys are stable. */
  json(event: PullEvent, now: number): string {
    switch (event.kind) {
      case "layers":
        return JSON.stringify({
          event: "layers",
          layers: event.layers.map(({ digest, size, isPresent }) => ({ digest, size, isPresent })),
        });
      case "chunked": {
        const { layer } = this.#layers[event.index]!;
        const about = { event: "chunked", layer: event.index, digest: layer.digest };
        return JSON.stringify({ ...about, ...event.decision });
      }
      case "progress":
      case "layer-done": {
        const { layer, fetched, saved, meter } = this.#layers[event.index]!;
        const rate = meter.rate(now);
        const left = secondsLeft(fetched, layer.size - saved, rate);
        return JSON.stringify({
          event: event.kind,
          layer: event.index,
          digest: layer.digest,
          bytes: fetched,
          totalBytes: layer.size,
          savedBytes: saved,
          bytesPerSecond: Math.round(rate),
          secondsLeft: left === undefined ? null : Math.round(left),
        });
      }
      default:
        return JSON.stringify({ event: event.kind });
    }
  }

  #layerLine({ layer, fetched, saved, meter }: LayerState, now: number): string {
    const size = layer.size - saved;
    return [shortDigest(layer), ...amounts(fetched, size, meter.rate(now))].join("  ");
  }

  #fetched(): number {
    return sum(this.#layers.map(({ fetched }) => fetched));
  }
}

function shortDigest({ digest }: PullLayer): string {
  return digest.slice(digest.indexOf(":") + 1).slice(0, SHORT_DIGEST);
}

/** Bytes, rate and time left. */
function amounts(done: number, total: number, rate: number): string[] {
  const parts = [`${formatSize(done)} of ${formatSize(total)}`];
  if (rate > 0) parts.push(`${formatSize(rate)}/s`);
  const left = secondsLeft(done, total, rate);
  if (left !== undefined) parts.push(`${formatDuration(left)} left`);
  return parts;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** A running display. */
export interface LayerProgress {
  /** Takes an event; writes when it is time to. */
  update(event: PullEvent): void;
  /** Removes the lines from the terminal. May be called more than once. */
  close(): void;
}

/** Shows the progress of a pull on `output` until closed. `now` gives milliseconds of a steady clock. */
export function openLayerProgress(
  output: Output,
  mode: ProgressMode,
  now: () => number = () => performance.now(),
  // A terminal that was never told its size says 0.
  columns: () => number = () => process.stderr.columns || 80,
): LayerProgress {
  if (mode === "none") return { update: () => {}, close: () => {} };
  const kind = mode !== "auto" ? mode : output.isTerminal ? "terminal" : "plain";
  const table = new LayerTable();
  /** When something was shown: of a layer by its index, or of all of them. */
  const shown = new Map<number | undefined, number>([[undefined, now()]]);
  let linesOpen = 0;

  function isDue(key: number | undefined, at: number): boolean {
    if (at - (shown.get(key) ?? Number.NEGATIVE_INFINITY) < INTERVAL[kind]) return false;
    shown.set(key, at);
    return true;
  }

  function write(text: string): void {
    output.text(text);
    output.flush();
  }

  function showPlain(event: PullEvent, at: number): void {
    if (event.kind === "layer-done") write(`${table.doneLine(event.index, at)}\n`);
    else if (event.kind === "progress" && isDue(undefined, at)) write(`${table.totalLine(at)}\n`);
  }

  return {
    update(event) {
      const at = now();
      table.update(event, at);
      if (kind === "json") {
        if (event.kind !== "progress" || isDue(event.index, at))
          write(`${table.json(event, at)}\n`);
      } else if (kind === "plain") {
        showPlain(event, at);
      } else if (event.kind !== "progress" || isDue(undefined, at)) {
        // One column stays free: a full line would wrap, and then not be rewritten.
        const lines = table.lines(at, columns() - 1);
        write(`${rewind(linesOpen)}${lines.join("\n")}`);
        linesOpen = lines.length;
      }
    },
    close() {
      if (linesOpen > 0) write(rewind(linesOpen));
      linesOpen = 0;
    },
  };
}

/** Goes back over `lines` lines, and clears them. */
function rewind(lines: number): string {
  return `${lines > 1 ? `\x1b[${lines - 1}A` : ""}${lines > 0 ? "\r\x1b[J" : ""}`;
}
