/** `composefs bundle`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import type { ByteString } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { resolveContainerUser } from "../../core/oci/container-user.ts";
import type { ContainerUser } from "../../core/oci/container-user.ts";
import { runtimeConfig } from "../../core/oci/runtime-config.ts";
import { makeBundle, withImageFiles } from "../../store/bundle/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { erofsOf, withRepository } from "../arguments/repository-image.ts";

/** Files of users and groups are read into memory. */
const ACCOUNTS_MAX = 1 << 24;

/** Makes an OCI runtime bundle of an image. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const [reference, directory, ...args] = invocation.operands as readonly [
    ByteString,
    ByteString,
    ...ByteString[],
  ];
  await withRepository(invocation, io, (repo, open) => {
    const image = open(reference);
    const digest = erofsOf(repo, image, reference);
    // An artifact has neither an EROFS image nor a config.
    const { run: runConfig } = image.config!;
    const wanted = invocation.value("run-as") ?? latin1(runConfig.user);
    const user = withImageFiles(repo, digest, (read): ContainerUser => {
      const file = (path: string) => read(path as ByteString, ACCOUNTS_MAX);
      return resolveContainerUser(wanted, {
        passwd: file("/etc/passwd"),
        group: file("/etc/group"),
      });
    });
    const hostname = invocation.value("hostname");
    const config = runtimeConfig(runConfig, user, {
      ...(args.length === 0 ? {} : { args: args.map((word) => textOf("argument", word)) }),
      env: invocation.values("env").map((word) => textOf("variable", word)),
      ...(hostname === undefined ? {} : { hostname: textOf("host name", hostname) }),
      terminal: invocation.has("terminal"),
      readOnlyRoot: invocation.has("read-only"),
      network: invocation.has("host-network") ? "host" : "none",
    });
    makeBundle(repo, { directory, digest, config });
  });
  return 0;
}

/** UTF-8 text as the bytes that a file of the image has. */
function latin1(text: string): ByteString {
  return Buffer.from(text, "utf8").toString("latin1") as ByteString;
}

/** config.json is JSON, which is text: bytes that are none cannot be handed on. */
function textOf(what: string, word: ByteString): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(word, "latin1"));
  } catch {
    throw new ComposefsError(
      "usage",
      `Cannot hand on the ${what} "${displayText(word)}": it is not UTF-8`,
    );
  }
}
