/** `composefs missing`. */

import { ComposefsError } from "../../core/errors.ts";
import { EXIT } from "../exit.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { Basedirs } from "../tasks/objects.ts";
import { objectsOf, printObjects } from "./objects.ts";

/** Prints the objects that images need and no base directory has. */
export function run(invocation: Invocation, io: Io): number {
  const paths = invocation.values("basedir");
  if (paths.length === 0) {
    throw new ComposefsError("usage", "Cannot look for objects: no --basedir is given", {
      hint: "add --basedir=DIR, the directory that holds the objects",
    });
  }
  const basedirs = new Basedirs(paths);
  try {
    const missing = objectsOf(invocation).filter((object) => !basedirs.has(object));
    printObjects(missing, invocation, io);
    return missing.length === 0 ? EXIT.ok : EXIT.missing;
  } finally {
    basedirs.close();
  }
}
