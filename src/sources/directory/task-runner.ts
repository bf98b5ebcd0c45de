/** Does a thread's tasks, whichever thread it is. */

import { EntryReader } from "./entry-reader.ts";
import { ObjectPublisher } from "../../store/objects/object-publisher.ts";
import { describeObjectFailure } from "./entry-failure.ts";
import { RangeReader } from "./range-reader.ts";
import type { PublishReply, PublishTask, Reply, Task, ThreadConfig } from "./tasks.ts";

/** Runs tasks one after the other. */
export class TaskRunner {
  readonly #config: ThreadConfig;
  #reader: EntryReader | undefined;
  #rangeReader: RangeReader | undefined;
  #publisher: ObjectPublisher | undefined;

  constructor(config: ThreadConfig) {
    this.#config = config;
  }

  /** Does a task, or as much of it as `budget` bytes of content allow. */
  run(task: Task, budget: number): Reply {
    switch (task.kind) {
      case "entries":
        this.#reader ??= new EntryReader(this.#config);
        return this.#reader.read(task, budget);
      case "range":
        this.#rangeReader ??= new RangeReader(this.#config);
        return this.#rangeReader.read(task);
      case "publish":
        return this.#publish(task);
      default:
        task satisfies never;
        throw new TypeError("unknown task");
    }
  }

  #publish(task: PublishTask): PublishReply {
    this.#publisher ??= new ObjectPublisher(this.#config.store!);
    const { done, failure } = this.#publisher.publish(task.objects);
    const described = failure === undefined ? undefined : describeObjectFailure(failure);
    return { kind: "publish", done, failure: described };
  }
}
