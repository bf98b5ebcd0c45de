/** `composefs repo index`. */

import { ContentIndex } from "../../store/mod.ts";
import { compactContentIndex, rebuildContentIndex } from "../../store/content-index/mod.ts";
import { interruptible } from "../interrupt.ts";
import type { Invocation } from "../command-line/invocation.ts";
import type { Io } from "../output/io.ts";
import { formatCount } from "../output/progress.ts";
import { openRepository } from "../arguments/repository-options.ts";

/** Shows the content index, makes it anew, or removes what is of no use in it. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const rebuilds = invocation.has("rebuild");
  const compacts = invocation.has("compact");
  const repository = openRepository(invocation, io, { writable: rebuilds || compacts });
  try {
    await interruptible(async (signal) => {
      if (rebuilds) await rebuildContentIndex(repository, { signal });
      else if (compacts) await compactContentIndex(repository, { signal });
    });
    const index = new ContentIndex(repository);
    const { records } = index;
    index.close();
    if (invocation.has("json")) io.out.text(`${JSON.stringify({ records })}\n`);
    else io.out.text(`${formatCount(records)} contents known by their SHA-256\n`);
    return 0;
  } finally {
    repository.close();
  }
}
