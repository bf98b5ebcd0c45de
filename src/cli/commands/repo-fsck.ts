/** `composefs repo fsck`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { loadZstd } from "../../floor/mod.ts";
import { ComposefsError } from "../../core/errors.ts";
import { ImageFetcher, openImageSource } from "../../sources/mod.ts";
import type { ImageSource } from "../../sources/mod.ts";
import { readOrigin } from "../../store/mod.ts";
import type { Repository } from "../../store/mod.ts";
import { checkRepository, repairRepository } from "../../store/fsck/mod.ts";
import type {
  Finding,
  FsckReport,
  HurtImage,
  RepairReport,
  TaggedImage,
} from "../../store/fsck/mod.ts";
import { EXIT } from "../exit.ts";
import { interruptible } from "../interrupt.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { formatCount } from "../output/progress.ts";
import { openRepository } from "../arguments/repository-options.ts";
import { sourceOptions } from "../arguments/source-options.ts";

/** Files of one image that are named on a terminal; all are in the JSON. */
const FILES_SHOWN = 10;

/** Checks a repository, and repairs it if asked to. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const repairs = invocation.has("repair");
  for (const name of ["from", "source"]) {
    if (!repairs && invocation.has(name)) {
      throw new ComposefsError("usage", `Cannot use --${name} without --repair`);
    }
  }
  const repository = openRepository(invocation, io, { writable: repairs });
  try {
    const decompression = await loadZstd();
    const done = await interruptible(async (signal): Promise<Done> => {
      const options = {
        decompression,
        metadataOnly: invocation.has("metadata-only"),
        deep: invocation.has("deep"),
        signal,
      };
      if (!repairs) return { report: await checkRepository(repository, options) };
      const repair = await repairRepository(repository, {
        ...options,
        from: invocation.values("from"),
        fetcher: new ImageFetcher({
          repository,
          decompression,
          openSource: (image) => openSource(repository, image, invocation, io),
          signal,
        }),
      });
      return { report: repair.after, repair };
    });
    if (invocation.has("json")) io.out.text(`${JSON.stringify(json(done))}\n`);
    else tellAll(done, io);
    return done.report.ok ? EXIT.ok : EXIT.damaged;
  } finally {
    repository.close();
  }
}

interface Done {
  readonly report: FsckReport;
  readonly repair?: RepairReport;
}

/**
 * Where an image came from: --source tells, else what its pull noted, else its tag. A registry is asked
 * for the digest.
 */
async function openSource(
  repository: Repository,
  { tag, manifestDigest }: TaggedImage,
  invocation: Invocation,
  io: Io,
): Promise<ImageSource> {
  const named = invocation.value("source") ?? readOrigin(repository, manifestDigest) ?? tag;
  const isRegistry = !/^(?:oci|oci-archive|docker-archive|containers-storage):/.test(named);
  const isPinned = named.includes("@");
  const text =
    isRegistry && !isPinned ? `${named.replace(/:[^:/]*$/, "")}@${manifestDigest}` : named;
  return openImageSource(text, sourceOptions(invocation, io));
}

function tellAll({ report, repair }: Done, io: Io): void {
  if (repair !== undefined) {
    for (const { digest, from } of repair.repaired) {
      io.out.text(`Repaired object ${digest} out of ${from}\n`);
    }
    for (const failure of repair.failures) io.err.text(`error: cannot repair ${failure}\n`);
  }
  tell(report, io);
}

function json({ report, repair }: Done): object {
  if (repair === undefined) return jsonReport(report);
  const { repaired, failures } = repair;
  return { ...jsonReport(report), repaired, failures };
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
