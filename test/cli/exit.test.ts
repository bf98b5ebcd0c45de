import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ComposefsError, DumpError, ImageError } from "#src/core/errors.ts";
import { EXIT, EXIT_MEANINGS, Interrupted, describeFailure } from "#src/cli/exit.ts";
import { ERRNO, SyscallError } from "#src/floor/errors.ts";

describe("describeFailure: gives each kind of error its exit status", () => {
  test.each([
    [new ComposefsError("usage", "m"), EXIT.usage],
    [new ComposefsError("invalid-mount-options", "m"), EXIT.usage],
    [new ComposefsError("verity-missing", "m"), EXIT.verity],
    [new ComposefsError("verity-mismatch", "m"), EXIT.verity],
    [new ComposefsError("output-failed", "m"), EXIT.failure],
    [new DumpError(1, "path", "m"), EXIT.failure],
    [new ImageError("corrupt-image", 7, "m"), EXIT.failure],
    [new SyscallError("openat", ERRNO["ENOENT"]!, "x"), EXIT.failure],
    [new Interrupted(), EXIT.interrupted],
    [new DOMException("aborted", "AbortError"), EXIT.interrupted],
    [new TypeError("m"), EXIT.failure],
    ["thrown text", EXIT.failure],
  ])("%s: %d", (error, status) => {
    expect(describeFailure(error).status).toBe(status);
  });
});

describe("describeFailure", () => {
  test("keeps the hint of the error, else knows one for the code", () => {
    const own = new ComposefsError("not-erofs", "m", { hint: "try this" });
    expect(describeFailure(own).hint).toBe("try this");
    expect(describeFailure(new ImageError("not-erofs", 0, "m")).hint).toContain("composefs lint");
  });

  test("finds a hint for the errno at the bottom of the causes", () => {
    const cause = new SyscallError("openat", ERRNO["EACCES"]!, "x");
    const error = new ComposefsError("source-unreadable", "m", { cause });
    expect(describeFailure(error).hint).toContain("permissions");
    const ofNode = new ComposefsError("output-failed", "m", {
      cause: Object.assign(new Error("x"), { code: "ENOSPC" }),
    });
    expect(describeFailure(ofNode).hint).toContain("space");
  });

  test("shows control characters of a message as text, and keeps its lines", () => {
    const error = new ComposefsError("usage", "a\u001b[31m\rb\nUse: c\u009b");
    expect(describeFailure(error).message).toBe("a\\x1b[31m\\x0db\nUse: c\\x9b");
  });

  test("tells a failed call of Node's without a stack", () => {
    let error: unknown;
    try {
      readFileSync("/nothing/here");
    } catch (caught) {
      error = caught;
    }
    expect(describeFailure(error)).toEqual({
      status: EXIT.failure,
      message: 'Cannot open "/nothing/here": No such file or directory',
      hint: undefined,
    });
  });

  test("calls what is no error of ours a bug, with the place in the code", () => {
    const { message, hint } = describeFailure(new RangeError("bad"));
    expect(message).toMatch(/^Internal error: RangeError: bad\n +at /);
    expect(hint).toContain("bug");
  });
});

describe("docs/errors.md", () => {
  const text = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const page = text.replace(/ +/g, " "); // tables may be lined up

  test("has every error code", () => {
    const source = readFileSync(new URL("../../src/core/errors.ts", import.meta.url), "utf8");
    const codes = [...source.matchAll(/^ {2}\| "([a-z-]+)"/gm)].map((match) => match[1]!);
    expect(codes.length).toBeGreaterThan(10);
    expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });

  test("has every exit status with its meaning", () => {
    const rows = EXIT_MEANINGS.map(([status, meaning]) => `| ${status} | ${meaning} |`);
    expect(rows.filter((row) => !page.includes(row))).toEqual([]);
  });
});
