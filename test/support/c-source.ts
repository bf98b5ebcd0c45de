/**
 * The C project's source tree, for the test scripts in it. None of it is part of this project:
 * `npm run setup:oracle` fetches Debian's source package; COMPOSEFS_C_SOURCE names another checkout.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { testCache } from "../../scripts/cache.mjs";

/** The root of the C project's source, or `undefined`. */
export function findCSource(): string | undefined {
  const root = process.env["COMPOSEFS_C_SOURCE"] ?? join(testCache(), "oracle", "source");
  return existsSync(join(root, "tests/test-checksums.sh")) ? root : undefined;
}
