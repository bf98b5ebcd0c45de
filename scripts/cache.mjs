/** Where the test set-up keeps what is costly to get: outside the checkout, shared by all checkouts of a user. */

import { homedir } from "node:os";
import { join } from "node:path";

/** The directory of the test cache; it need not exist. */
export function testCache() {
  const { COMPOSEFS_TEST_CACHE, XDG_CACHE_HOME } = process.env;
  return join(
    COMPOSEFS_TEST_CACHE ?? XDG_CACHE_HOME ?? join(homedir(), ".cache"),
    "composefs-test",
  );
}
