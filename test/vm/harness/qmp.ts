/**
 * QEMU's control channel: one JSON object a line. Source: QEMU docs/interop/qmp-spec.rst. Only what saving
 * and restoring a machine needs.
 */

import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

interface Answer {
  readonly return?: Record<string, unknown>;
  readonly error?: { readonly desc: string };
}

export class ControlChannel {
  readonly #stream: Duplex;
  readonly #waiting: ((answer: Answer) => void)[] = [];
  #text = "";
  #negotiated: Promise<unknown> | undefined;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => this.#take(text));
    // Without the machine there is no answer: let each of its callers see that it ended.
    stream.on("error", () => stream.destroy());
  }

  /** Runs one command and returns its answer. Throws what QEMU says when it fails; waits for ever once it ended. */
  async #execute(command: string, args: object = {}): Promise<Record<string, unknown>> {
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.push(resolve);
      this.#stream.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
    if (answer.return !== undefined) return answer.return;
    throw new Error(`QEMU refused ${command}: ${answer.error?.desc}`);
  }

  /** See `Machine.save`. */
  async save(path: string): Promise<void> {
    await this.#leaveMemoryAlone();
    await this.#execute("migrate", { uri: `file:${path}` });
    for (;;) {
      const { status } = await this.#execute("query-migrate");
      if (status === "completed") return;
      if (status === "failed" || status === "cancelled") throw new Error(`saving ${status}`);
      await sleep(5);
    }
  }

  /** See `Machine.restore`. */
  async restore(path: string): Promise<void> {
    await this.#leaveMemoryAlone();
    await this.#execute("migrate-incoming", { uri: `file:${path}` });
    // What reaches the serial ports before they have been loaded is lost.
    while ((await this.#execute("query-status"))["status"] !== "running") await sleep(2);
  }

  async #leaveMemoryAlone(): Promise<void> {
    // Once for a channel, and a machine may be both restored and saved.
    await (this.#negotiated ??= this.#execute("qmp_capabilities"));
    const capabilities = [
      { capability: "x-ignore-shared", state: true },
      { capability: "events", state: false },
    ];
    await this.#execute("migrate-set-capabilities", { capabilities });
  }

  #take(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf("\n"); end >= 0; end = this.#text.indexOf("\n")) {
      const answer = JSON.parse(this.#text.slice(0, end)) as Answer;
      this.#text = this.#text.slice(end + 1);
      // Events and the greeting are not answers.
      if ("return" in answer || "error" in answer) this.#waiting.shift()?.(answer);
    }
  }
}
