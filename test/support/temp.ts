/** Temporary directories that are gone when the test file has ended. */

import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

const made: string[] = [];

/** An object store of 50,000 files takes its time on a busy disk. */
const REMOVAL_TIMEOUT = 300_000;

// `rm` and not `fs.rm`: names here may be no UTF-8, and Node lists directories as UTF-8.
afterAll(() => {
  if (made.length > 0) spawnSync("rm", ["-rf", "--one-file-system", "--", ...made]);
  made.length = 0;
}, REMOVAL_TIMEOUT);

/** Makes an empty directory and returns its absolute path; removed after the file's last test. */
export function tempDir(): string {
  const path = mkdtempSync(join(process.env["COMPOSEFS_TEST_TMP"] ?? tmpdir(), "composefs-test-"));
  made.push(path);
  return path;
}
