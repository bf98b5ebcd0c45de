/** The near end of the command line: see test/vm/guest/agent.sh for the far end and the protocol. */

import type { Duplex } from "node:stream";

/** How a command ended. */
export interface CommandResult {
  readonly status: number;
  /** Standard output and standard error, without the last newline. */
  readonly output: string;
}

export class Agent {
  /** Done when the agent of a machine that boots says that it is there. */
  readonly ready: Promise<void>;
  readonly #stream: Duplex;
  #text = "";
  #nonce = 0;
  #waiting: { readonly nonce: number; resolve(result: CommandResult): void } | undefined;
  #isReady: () => void = () => {};

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve;
    });
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => this.#take(text));
    // The machine's end is seen by the machine.
    stream.on("error", () => stream.destroy());
  }

  /** Never done when the machine ends before the command does. One command at a time. */
  run(command: string): Promise<CommandResult> {
    if (this.#waiting !== undefined) throw new Error(`"${command}" while another command runs`);
    return new Promise((resolve) => {
      const nonce = (this.#nonce += 1);
      this.#waiting = { nonce, resolve };
      this.#text = "";
      this.#stream.write(`${nonce} ${Buffer.from(command).toString("base64")}\n`);
    });
  }

  #take(text: string): void {
    this.#text += text;
    if (this.#waiting === undefined) {
      if (this.#text.endsWith("\u001eready\u001e\n")) this.#isReady();
      return;
    }
    const { nonce, resolve } = this.#waiting;
    const end = new RegExp(`\\n?\u001e${nonce} (\\d+)\u001e\\n`).exec(this.#text);
    if (end === null) return;
    this.#waiting = undefined;
    resolve({ status: Number(end[1]), output: this.#text.slice(0, end.index) });
  }
}
