/**
 * Writes docs/man from the tables of the commands: `npm run man`, after a build.
 */

import { mkdirSync, writeFileSync } from "node:fs";

import { formatManPage } from "../dist/cli/help/man.js";
import { PROGRAMS } from "../dist/cli/table/mod.js";

const directory = new URL("../docs/man/", import.meta.url);
mkdirSync(directory, { recursive: true });
for (const program of PROGRAMS) {
  const page = new URL(`${program.name}.${program.manual}`, directory);
  writeFileSync(page, formatManPage(program));
}
