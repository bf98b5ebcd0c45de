/** The options by which a command reaches a registry: for every command that reads images from one. */

import type { OpenImageOptions } from "../../sources/mod.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import type { OptionSpec } from "../command-line/spec.ts";

/** How to reach a registry. */
export const SOURCE_OPTIONS: readonly OptionSpec[] = [
  {
    name: "authfile",
    value: { label: "FILE", kind: "file" },
    brief: "Take the registry's credentials from this file",
    details: "Unless told: from the files of podman and docker, and the helpers that they name.",
  },
  {
    name: "tls-verify",
    value: { label: "BOOL", kind: { choices: ["true", "false"] } },
    brief:
      "Whether a registry needs a certificate that is right (what registries.conf says unless told)",
  },
];

/** What a command line says of how to reach a registry. */
export function sourceOptions(invocation: Invocation, { env }: Io): OpenImageOptions {
  const authFile = invocation.value("authfile");
  const verify = invocation.value("tls-verify");
  return {
    storage: { environment: env, uid: process.geteuid?.() },
    registry: {
      environment: env,
      authFile,
      insecure: verify === undefined ? undefined : verify === "false",
    },
  };
}
