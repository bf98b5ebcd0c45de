/** `cfsctl oci pull`. */

import { displayText } from "../../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import { parseFsVerityDigest } from "../../../../core/fsverity/digest.ts";
import type { FsVerityDigest } from "../../../../core/fsverity/digest.ts";
import { openImageSource, pullImage } from "../../../../sources/mod.ts";
import type { PullReport } from "../../../../sources/mod.ts";
import type { ObjectCount } from "../../../../store/mod.ts";
import { interruptible } from "../../../interrupt.ts";
import { openLayerProgress } from "../../../output/layer-progress.ts";
import { withRepository } from "../repository.ts";
import type { CfsctlCall } from "../settings.ts";
import { findBootImage } from "./boot-image.ts";

/** Pulls an image, and names it. */
export function pull({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const [image, name = image] = invocation.operands;
  const wanted = invocation.value("expected-digest");
  const expected = wanted === undefined ? undefined : parseFsVerityDigest(wanted);
  const bootable = invocation.has("bootable") && expected === undefined;
  return withRepository(settings, (repository) =>
    interruptible(async (signal) => {
      const source = await openImageSource(image!, { registry: { environment: io.env } });
      // Who is no person at a terminal gets what composefs-rs says meanwhile, which is nothing.
      const progress = openLayerProgress(io.err, io.err.isTerminal ? "auto" : "none");
      let report: PullReport;
      try {
        const onProgress = progress.update.bind(progress);
        report = await pullImage(repository, source, { tag: name, bootable, signal, onProgress });
      } finally {
        progress.close();
        await source.close();
      }
      io.out.text(`manifest ${report.manifestDigest}\n`);
      io.out.text(`config   ${report.configDigest}\n`);
      io.out.text(`verity   ${report.manifestStream}\n`);
      io.out.text(`tagged   ${displayText(name!)}\n`);
      io.out.text(`objects  ${describeObjects(report)}\n`);
      if (expected !== undefined) {
        const found = await findBootImage(repository, report.manifestDigest, expected);
        const { version, xattrs } = found;
        io.out.text(`Boot image: ${expected} (xattr-mode=${xattrs}, format-version=V${version})\n`);
      } else if (bootable) {
        io.out.text(`Boot image: ${bootImageOf(report, repository.formats.default)}\n`);
      }
      return 0;
    }),
  );
}

function bootImageOf({ erofs }: PullReport, version: number): FsVerityDigest {
  const boot = erofs.find((image) => image.bootable && image.version === version);
  if (boot !== undefined) return boot.digest;
  throw new ComposefsError("not-in-repository", "Cannot make a bootable image: it is an artifact");
}

/** What of the layers came into the repository how. */
function describeObjects({ layerObjects, layers }: PullReport): string {
  const { copied, reflinked, hardlinked, alreadyPresent } = layerObjects;
  const unpacked = layers.reduce((sum, layer) => sum + layer.unpacked, 0);
  const external = copied.bytes + reflinked.bytes + hardlinked.bytes + alreadyPresent.bytes;
  const inlined = formatBytes(Math.max(0, unpacked - external));
  if (reflinked.objects === 0 && hardlinked.objects === 0) {
    const counts = `${copied.objects} new + ${alreadyPresent.objects} already present objects`;
    return `${counts}; ${formatBytes(copied.bytes)} stored, ${inlined} inlined`;
  }
  const linked = [
    ["reflinked", reflinked],
    ["hardlinked", hardlinked],
  ] as const satisfies readonly (readonly [string, ObjectCount])[];
  const ways = [...linked.filter(([, { objects }]) => objects > 0), ["copied", copied] as const];
  const counts = ways.map(([how, { objects }]) => `${objects} ${how}`);
  const bytes = ways.map(([how, count]) => `${formatBytes(count.bytes)} ${how}`);
  counts.push(`${alreadyPresent.objects} already present`);
  return `${counts.join(" + ")} objects; ${bytes.join(", ")}, ${inlined} inlined`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `800 B`, `1.43 MiB`. */
function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(2)} ${UNITS[unit]}`;
}
