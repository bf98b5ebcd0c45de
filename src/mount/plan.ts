/**
 * A mount as a list of steps, which can be shown before anything is done.
 *
 * Planning looks at the request alone: it opens nothing and asks the kernel nothing. What the kernel
 * can do is found out while the steps are taken, so a step names its choices in the order of trying.
 */

import { displayText } from "../core/bytes/byte-string.ts";
import type { ByteString } from "../core/bytes/byte-string.ts";
import type { FsVerityDigest } from "../core/fsverity/digest.ts";
import type { Fd } from "../floor/file.ts";
import { checkMountOptions } from "./options.ts";
import type { MountOptions, VerityMode } from "./options.ts";

/** What to mount where. */
export interface MountRequest extends MountOptions {
  /** The image's path, or a descriptor open for reading that stays the caller's. */
  readonly image: ByteString | Fd;
  /** An existing directory; not a symbolic link. */
  readonly target: ByteString;
}

/** The overlay over image and basedirs. */
export interface OverlayStep {
  readonly kind: "mount-overlay";
  readonly basedirs: readonly ByteString[];
  readonly verity: VerityMode;
  readonly upper: { readonly upperdir: ByteString; readonly workdir: ByteString } | undefined;
  readonly readOnly: boolean;
}

/** One step; {@link describeStep} puts it into words. */
export type MountStep =
  | { readonly kind: "open-image"; readonly image: ByteString | Fd }
  | { readonly kind: "check-digest"; readonly digest: FsVerityDigest }
  | { readonly kind: "check-header" }
  | { readonly kind: "open-target"; readonly target: ByteString }
  | { readonly kind: "open-idmap"; readonly idmap: ByteString }
  | { readonly kind: "mount-image"; readonly idmap: ByteString | undefined }
  | OverlayStep
  | { readonly kind: "attach"; readonly target: ByteString };

/** Steps in the order they are taken; when one fails, all before it are undone. */
export interface MountPlan {
  readonly image: ByteString | Fd;
  readonly target: ByteString;
  readonly steps: readonly MountStep[];
  /** One sentence for each step, for people. */
  describe(): string[];
}

/** Plans a mount. Throws `invalid-mount-options` where the request contradicts itself. */
export function planMount(request: MountRequest): MountPlan {
  const { image, target, ...options } = checkMountOptions(request);
  const { digest, idmap, upperdir, workdir } = options;
  const steps: MountStep[] = [{ kind: "open-image", image }];
  if (digest !== undefined) steps.push({ kind: "check-digest", digest });
  steps.push({ kind: "check-header" }, { kind: "open-target", target });
  if (idmap !== undefined) steps.push({ kind: "open-idmap", idmap });
  steps.push({ kind: "mount-image", idmap });
  steps.push({
    kind: "mount-overlay",
    basedirs: options.basedirs,
    verity: options.verity,
    upper: upperdir === undefined || workdir === undefined ? undefined : { upperdir, workdir },
    readOnly: options.readOnly ?? false,
  });
  steps.push({ kind: "attach", target });
  return { image, target, steps, describe: () => steps.map(describeStep) };
}

/** Says what a step does, as a sentence for people without its full stop. */
export function describeStep(step: MountStep): string {
  switch (step.kind) {
    case "open-image":
      return `Open the image ${describeImage(step.image)}`;
    case "check-digest":
      return `Ask the kernel for the image's fs-verity digest and compare it with ${step.digest}`;
    case "check-header":
      return "Check that it is a composefs image";
    case "open-target":
      return `Open the directory ${quoted(step.target)}`;
    case "open-idmap":
      return `Open the user namespace ${quoted(step.idmap)}`;
    case "mount-image": {
      const mapped = step.idmap === undefined ? "" : `, owners mapped by ${quoted(step.idmap)}`;
      return `Mount the image as EROFS, read-only, from the file or else a loop device${mapped}`;
    }
    case "mount-overlay":
      return describeOverlay(step);
    case "attach":
      return `Attach the overlay to ${quoted(step.target)}`;
  }
}

function describeOverlay(step: OverlayStep): string {
  const verity = {
    off: "",
    try: ", fs-verity digests required if the kernel can",
    require: ", fs-verity digests required",
  }[step.verity];
  const upper =
    step.upper === undefined
      ? ""
      : `, changes to ${quoted(step.upper.upperdir)} through ${quoted(step.upper.workdir)}`;
  const readOnly = step.readOnly ? ", read-only" : "";
  const data = step.basedirs.map(quoted).join(", ");
  return `Mount an overlay of it with file data from ${data}${verity}${upper}${readOnly}`;
}

/** The image as it stands in messages: `"path"` or `descriptor 5`. */
export function describeImage(image: ByteString | Fd): string {
  return typeof image === "number" ? `descriptor ${image}` : quoted(image);
}

function quoted(path: ByteString): string {
  return `"${displayText(path)}"`;
}
