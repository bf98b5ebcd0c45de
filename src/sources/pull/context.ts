/** What all steps of a pull share. */

import type { Zstd } from "../../floor/mod.ts";
import type { ContentIndex, Repository } from "../../store/mod.ts";
import type { ImageSource } from "../image-source.ts";
import type { LayerLimits } from "./limits.ts";
import type { PullOptions } from "./options.ts";

/** One pull. */
export interface PullContext {
  readonly repo: Repository;
  readonly source: ImageSource;
  readonly zstd: Zstd;
  readonly limits: LayerLimits;
  readonly options: PullOptions;
}

/** One pull that has something to fetch. */
export interface FetchContext extends PullContext {
  /** Which contents the repository has, by SHA-256. */
  readonly contents: ContentIndex;
}
