/** `composefs repo status`. */

import { displayText } from "../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../core/errors.ts";
import { SyscallError } from "../../floor/mod.ts";
import { countRepository } from "../../store/mod.ts";
import type { ErofsFormats, Repository, RepositoryCounts } from "../../store/mod.ts";
import { interruptible } from "../interrupt.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { formatCount, formatSize } from "../output/progress.ts";
import { openRepository } from "../arguments/repository-options.ts";

/** Shows what a repository is and holds. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const repository = openRepository(invocation, io);
  try {
    const counts = await interruptible((signal) => countRepository(repository, { signal }));
    const obstacle = obstacleToWriting(repository);
    if (invocation.has("json")) tellJson(repository, counts, obstacle, io);
    else tell(repository, counts, obstacle, io);
    return 0;
  } finally {
    repository.close();
  }
}

/** `V1, also V2`. */
export function describeFormats({ default: version, extra }: ErofsFormats): string {
  return `V${version}${extra.length === 0 ? "" : `, also V${extra.join(", V")}`}`;
}

/** Why nothing can be written; `undefined` if it can. */
function obstacleToWriting(repository: Repository): string | undefined {
  try {
    repository.assertWritable();
    return undefined;
  } catch (error) {
    if (error instanceof ComposefsError || error instanceof SyscallError) return error.message;
    throw error;
  }
}

function tellJson(
  repository: Repository,
  counts: RepositoryCounts,
  obstacle: string | undefined,
  io: Io,
): void {
  const json = {
    path: displayText(repository.path),
    algorithm: repository.algorithm,
    verity: repository.verity,
    erofsFormats: repository.formats,
    features: repository.metadata.features,
    writable: obstacle === undefined,
    ...counts,
  };
  io.out.text(`${JSON.stringify(json)}\n`);
}

function tell(
  repository: Repository,
  counts: RepositoryCounts,
  obstacle: string | undefined,
  io: Io,
): void {
  const rows: [string, string][] = [
    ["repository", displayText(repository.path)],
    ["digests", repository.algorithm],
    ["verity", repository.verity],
    ["formats", describeFormats(repository.formats)],
    ["writable", obstacle ?? "yes"],
    ["objects", `${formatCount(counts.objects)} of ${formatSize(counts.objectBytes)}`],
    ["images", `${formatCount(counts.images)}, ${formatCount(counts.imageRefs)} refs`],
    ["streams", `${formatCount(counts.streams)}, ${formatCount(counts.streamRefs)} refs`],
  ];
  if (counts.temporary > 0) rows.push(["unfinished", formatCount(counts.temporary)]);
  if (counts.strange > 0) rows.push(["strange files", formatCount(counts.strange)]);
  for (const [name, value] of rows) io.out.text(`${name.padEnd(13)}  ${value}\n`);
}
