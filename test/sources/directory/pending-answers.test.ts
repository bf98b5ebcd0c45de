import { describe, expect, test } from "vitest";
import { PendingAnswers } from "#src/sources/directory/pending-answers.ts";

describe("PendingAnswers", () => {
  test("counts answers until they come, and waits for the next one and for all", async () => {
    const pending = new PendingAnswers();
    const finish: (() => void)[] = [];
    for (let i = 0; i < 3; i++) pending.add(new Promise((resolve) => finish.push(resolve)));
    expect(pending.count).toBe(3);
    finish[1]!();
    await pending.next();
    expect(pending.count).toBe(2);
    finish[0]!();
    finish[2]!();
    await pending.all();
    expect(pending.count).toBe(0);
    expect(() => pending.assertNoFailure()).not.toThrow();
  });

  test("keeps the first failure, and waits for the others all the same", async () => {
    const pending = new PendingAnswers();
    let finish = (): void => {};
    pending.add(new Promise((resolve) => (finish = resolve)));
    pending.add(Promise.reject(new Error("first")));
    await pending.next();
    pending.add(Promise.reject(new Error("second")));
    await pending.next();
    expect([pending.hasFailed, pending.count]).toEqual([true, 1]);
    expect(() => pending.assertNoFailure()).toThrow("first");
    finish();
    await pending.all();
    expect(pending.count).toBe(0);
  });
});
