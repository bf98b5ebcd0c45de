/** `composefs repo fsck`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { loadZstd } from "../../floor/mod.ts";
import { checkRepository } from "../../store/fsck/mod.ts";
import type { Finding, FsckReport, HurtImage } from "../../store/fsck/mod.ts";
import { EXIT } from "../exit.ts";
import { interruptible } from "../interrupt.ts";
import type { Invocation } from "../invocation.ts";
import type { Io } from "../io.ts";
import { formatCount } from "../progress.ts";
import { openRepository } from "../repository-options.ts";

/** Files of one image that are named on a terminal; all are in the JSON. */
const FILES_SHOWN = 10;

/** Checks a repository. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const repository = openRepository(invocation, io);
  try {
    const zstd = await loadZstd();
    const report = await interruptible((signal) =>
      checkRepository(repository, {
        decompression: zstd,
        metadataOnly: invocation.has("metadata-only"),
        deep: invocation.has("deep"),
        signal,
      }),
    );
    if (invocation.has("json")) io.out.text(`${JSON.stringify(jsonReport(report))}\n`);
    else tell(report, io);
    return report.ok ? EXIT.ok : EXIT.damaged;
  } finally {
    repository.close();
  }
}

function tell(report: FsckReport, { out }: Io): void {
  for (const finding of report.findings) out.text(`${findingLine(finding)}\n`);
  for (const image of report.hurt) tellHurt(image, out.text.bind(out));
  const { objects, streams, images, ociImages } = report;
  const parts = [
    `${formatCount(objects.checked)} objects`,
    `${formatCount(streams.checked)} streams`,
    `${formatCount(images.checked)} EROFS images`,
    `${formatCount(ociImages.checked)} tags`,
  ];
  out.text(`Checked ${parts.join(", ")}: ${verdict(report)}\n`);
}

function verdict(report: FsckReport): string {
  if (report.ok) return "no damage";
  const damage = report.findings.filter(({ severity }) => severity === "damage").length;
  return `${formatCount(damage)} damaged or missing`;
}

function findingLine({ kind, severity, where, detail }: Finding): string {
  const prefix = severity === "note" ? "note: " : "";
  return `${prefix}${kind}: ${displayText(where)}: ${detail}`;
}

function tellHurt(image: HurtImage, text: (line: string) => void): void {
  const state = image.isUnusable ? "cannot be used" : "lacks the content of files";
  text(`Image ${displayText(image.name)} ${state}:\n`);
  for (const file of image.files.slice(0, FILES_SHOWN)) text(`  ${displayText(file)}\n`);
  const more = image.fileCount - Math.min(FILES_SHOWN, image.files.length);
  if (more > 0) text(`  and ${formatCount(more)} more files\n`);
}

function jsonReport(report: FsckReport): object {
  return {
    ...report,
    findings: report.findings.map((finding) => ({
      ...finding,
      where: displayText(finding.where),
      digest: finding.digest ?? null,
    })),
    hurt: report.hurt.map((image) => ({
      ...image,
      name: displayText(image.name),
      files: image.files.map(displayText),
    })),
  };
}
