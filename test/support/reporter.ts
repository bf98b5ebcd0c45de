/**
 * A vitest reporter that appends what each test came to, one JSON object a line, to the file named by
 * COMPOSEFS_TEST_RESULTS. `scripts/test.mjs` adds up several runs from it.
 */

import { appendFileSync } from "node:fs";
import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";

/** One line of the file. */
interface TestResultLine {
  readonly state: "passed" | "failed" | "skipped";
  readonly file: string;
  readonly name: string;
  /** Failed: the first line of the error. Skipped: the reason, empty where none was given. */
  readonly why: string;
}

export default class ResultLines implements Reporter {
  readonly #path = process.env["COMPOSEFS_TEST_RESULTS"];

  onTestCaseResult(test: TestCase): void {
    const result = test.result();
    if (result.state === "pending") return;
    this.#append({
      state: result.state,
      file: test.module.relativeModuleId,
      name: test.fullName,
      why: result.state === "skipped" ? skipReason(test) : firstLine(result.errors?.[0]),
    });
  }

  onTestModuleEnd(module: TestModule): void {
    const file = module.relativeModuleId;
    for (const error of module.errors()) {
      this.#append({ state: "failed", file, name: "(the file itself)", why: firstLine(error) });
    }
    for (const suite of module.children.allSuites()) {
      for (const error of suite.errors()) {
        this.#append({ state: "failed", file, name: suite.fullName, why: firstLine(error) });
      }
    }
  }

  onTestRunEnd(_: readonly TestModule[], unhandledErrors: readonly { message?: string }[]): void {
    for (const error of unhandledErrors) {
      this.#append({ state: "failed", file: "", name: "(outside a test)", why: firstLine(error) });
    }
  }

  #append(line: TestResultLine): void {
    if (this.#path !== undefined) appendFileSync(this.#path, `${JSON.stringify(line)}\n`);
  }
}

/** The nearest reason: of the test itself, else of the suites around it. */
function skipReason(test: TestCase): string {
  const result = test.result();
  if (result.state === "skipped" && result.note !== undefined) return result.note;
  let at: TestCase | TestSuite | TestModule = test;
  while (at.type !== "module") {
    const reason = at.meta().skipReason;
    if (reason !== undefined) return reason;
    at = at.parent;
  }
  return "";
}

function firstLine(error: { message?: string } | undefined): string {
  return (error?.message ?? "").split("\n")[0] ?? "";
}
