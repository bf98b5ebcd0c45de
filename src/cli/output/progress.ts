/**
 * Progress of long work: one line that rewrites itself on a terminal, plain lines now and then
 * elsewhere, or JSON lines for programs. Always on standard error.
 *
 * The meter is pure: it is told the time. `openProgress` is the thin part that has a clock.
 */

import type { Output } from "./output.ts";
import { RateMeter, secondsLeft } from "./rate.ts";

/** What the work tells about itself. */
export interface ProgressEvent {
  readonly phase: "scan" | "digest" | "store" | "write";
  /** Files and bytes done in this phase. */
  readonly files: number;
  readonly bytes: number;
  /** How many there are in this phase, once that is known. */
  readonly totalFiles?: number | undefined;
  readonly totalBytes?: number | undefined;
}

/** How progress is shown. `auto` is `terminal` on a terminal and `plain` elsewhere. */
export const PROGRESS_MODES = ["auto", "plain", "none", "json"] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

/** Milliseconds between two lines of each kind. */
const INTERVAL = { terminal: 100, plain: 5000, json: 1000 } as const;

const PHASE_NAME = {
  scan: "Scanning",
  digest: "Hashing",
  store: "Storing",
  write: "Writing",
} as const;

/** What is known of the work at one moment. */
export interface ProgressState extends ProgressEvent {
  /** Bytes a second, lately; 0 when nothing is known. */
  readonly bytesPerSecond: number;
  /** Seconds until the phase is done, or nothing when that cannot be told. */
  readonly secondsLeft: number | undefined;
}

/** Turns events into rates. Times are milliseconds of any steady clock. */
export class ProgressMeter {
  #files = new RateMeter();
  #bytes = new RateMeter();
  #event: ProgressEvent | undefined;

  /** Takes an event that happened at `now`. */
  update(event: ProgressEvent, now: number): void {
    if (event.phase !== this.#event?.phase) {
      this.#files = new RateMeter();
      this.#bytes = new RateMeter();
    }
    this.#event = event;
    this.#files.update(event.files, now);
    this.#bytes.update(event.bytes, now);
  }

  /** What is known at `now`, or nothing before the first event. */
  state(now: number): ProgressState | undefined {
    const event = this.#event;
    if (event === undefined) return undefined;
    const bytesPerSecond = this.#bytes.rate(now);
    const left =
      secondsLeft(event.bytes, event.totalBytes, bytesPerSecond) ??
      secondsLeft(event.files, event.totalFiles, this.#files.rate(now));
    return { ...event, bytesPerSecond, secondsLeft: left };
  }
}

/** A line for people, at most `width` columns wide. */
export function formatProgress(state: ProgressState, width = Number.POSITIVE_INFINITY): string {
  const { files, totalFiles, bytes, totalBytes } = state;
  const parts = [`${PHASE_NAME[state.phase]}: ${formatCount(files)}`];
  parts[0] += totalFiles === undefined ? " files" : ` of ${formatCount(totalFiles)} files`;
  if (bytes > 0 || totalBytes !== undefined) {
    parts.push(
      formatSize(bytes) + (totalBytes === undefined ? "" : ` of ${formatSize(totalBytes)}`),
    );
  }
  if (state.bytesPerSecond > 0) parts.push(`${formatSize(state.bytesPerSecond)}/s`);
  if (state.secondsLeft !== undefined) parts.push(`${formatDuration(state.secondsLeft)} left`);
  return parts.join(", ").slice(0, width);
}

/** The same for programs: one JSON object, without a line break. Keys are stable. */
export function formatProgressJson(state: ProgressState): string {
  return JSON.stringify({
    phase: state.phase,
    files: state.files,
    totalFiles: state.totalFiles ?? null,
    bytes: state.bytes,
    totalBytes: state.totalBytes ?? null,
    bytesPerSecond: Math.round(state.bytesPerSecond),
    secondsLeft: state.secondsLeft === undefined ? null : Math.round(state.secondsLeft),
  });
}

/** A running display. */
export interface Progress {
  /** Takes an event; writes when it is time to. */
  update(event: ProgressEvent): void;
  /** Removes the line from the terminal. May be called more than once. */
  close(): void;
}

/** Shows progress on `output` until closed. `now` gives milliseconds of a steady clock. */
export function openProgress(
  output: Output,
  mode: ProgressMode,
  now: () => number = () => performance.now(),
  // A terminal that was never told its size says 0.
  columns: () => number = () => process.stderr.columns || 80,
): Progress {
  if (mode === "none") return { update: () => {}, close: () => {} };
  const kind = mode !== "auto" ? mode : output.isTerminal ? "terminal" : "plain";
  const meter = new ProgressMeter();
  // Work that ends before the first plain line is due stays silent.
  let lastLine = kind === "plain" ? now() : Number.NEGATIVE_INFINITY;
  let lineIsOpen = false;

  function write(line: string): void {
    output.text(line);
    output.flush();
  }

  return {
    update(event) {
      const at = now();
      meter.update(event, at);
      if (at - lastLine < INTERVAL[kind]) return;
      const state = meter.state(at);
      if (state === undefined) return;
      lastLine = at;
      if (kind === "json") write(`${formatProgressJson(state)}\n`);
      else if (kind === "plain") write(`${formatProgress(state)}\n`);
      else {
        // One column stays free: a full line would wrap, and then not be rewritten.
        write(`\r\x1b[K${formatProgress(state, columns() - 1)}`);
        lineIsOpen = true;
      }
    },
    close() {
      if (lineIsOpen) write("\r\x1b[K");
      lineIsOpen = false;
    },
  };
}

/** A count with thin groups: `98 304`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, " ");
}

/** A size in binary units with three digits: `3.21 GiB`. */
export function formatSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  // 999.5 would be shown as 1000, so it goes to the next unit.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** A duration in the two largest units: `1 h 02 min`, `3 min 20 s`, `5 s`. */
export function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
