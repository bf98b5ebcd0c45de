/** The repository that the global options mean. */

import { readFileSync } from "node:fs";

import { displayText } from "../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../core/errors.ts";
import type { FsVerityAlgorithm } from "../../../core/fsverity/digest.ts";
import { repositoryPath } from "./settings.ts";
import type { Settings } from "./settings.ts";

/** The hash of the repository. Throws where there is none, or where `--hash` asks for another. */
export function algorithmOf(settings: Settings): FsVerityAlgorithm {
  const path = repositoryPath(settings);
  const text = readFileSync(Buffer.from(`${path}/meta.json`, "latin1"), "utf8");
  const found = /"fsverity-(sha256|sha512)-12"/.exec(text)?.[1] as FsVerityAlgorithm | undefined;
  if (found !== undefined && (settings.hash ?? found) === found) return found;
  throw new ComposefsError(
    "repository-conflict",
    `Cannot use repository "${displayText(path)}": its hash is ${found ?? "not known"}`,
  );
}
