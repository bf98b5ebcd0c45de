/** `composefs repo init`. */

import { mkdirSync } from "node:fs";

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import type { FormatVersion } from "../../core/erofs/version.ts";
import { initRepository } from "../../store/mod.ts";
import type { ErofsFormats, InitResult } from "../../store/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { repositoryPath } from "../arguments/repository-options.ts";
import { describeFormats } from "./repo-status.ts";

/** Makes a repository. */
export function run(invocation: Invocation, io: Io): number {
  const path = pathOf(invocation, io);
  const result = initRepository(path, {
    algorithm: invocation.value("algorithm") === "sha256" ? "sha256" : "sha512",
    verity: invocation.value("verity") === "missing-allowed" ? "missing-allowed" : "required",
    formats: formatsOf(invocation),
    ensure: invocation.has("ensure"),
    resetMetadata: invocation.has("reset-metadata"),
  });
  tell(path, result, invocation, io);
  return 0;
}

function pathOf(invocation: Invocation, io: Io): ByteString {
  const [operand] = invocation.operands;
  const isNamed = ["repo", "user", "system"].some((name) => invocation.has(name));
  if (operand !== undefined && isNamed) {
    throw new ComposefsError("usage", "Cannot use PATH and an option that names a repository", {
      hint: "leave one of them out",
    });
  }
  if (operand !== undefined) return operand;
  const path = repositoryPath(invocation, io);
  // What nobody has typed may lack its parents.
  const parent = path.slice(0, path.lastIndexOf("/"));
  if (!invocation.has("repo") && parent !== "") {
    mkdirSync(Buffer.from(parent, "latin1"), { recursive: true });
  }
  return path;
}

function formatsOf(invocation: Invocation): ErofsFormats {
  const [first = 1, ...extra] = invocation
    .values("erofs-version")
    .map((text) => Number(text) as FormatVersion);
  return { default: first, extra: extra.filter((version) => version !== first) };
}

const OUTCOME: Readonly<Record<InitResult["outcome"], string>> = {
  created: "Made repository",
  already: "There is already the repository",
  upgraded: "Upgraded repository",
};

function tell(path: ByteString, result: InitResult, invocation: Invocation, io: Io): void {
  const { outcome, metadata, verity } = result;
  const { algorithm, formats } = metadata;
  if (invocation.has("json")) {
    const json = { outcome, path: displayText(path), algorithm, verity, erofsFormats: formats };
    io.out.text(`${JSON.stringify(json)}\n`);
    return;
  }
  io.out.text(`${OUTCOME[outcome]} "${displayText(path)}"\n`);
  io.out.text(`  digests  ${algorithm}\n`);
  io.out.text(`  verity   ${verity}\n`);
  io.out.text(`  formats  ${describeFormats(formats)}\n`);
}
