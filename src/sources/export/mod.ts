/** Images out of a repository. */

export { exportImage } from "./export-image.ts";
export type {
  ExportCompression,
  ExportOptions,
  ExportProgress,
  ExportReport,
  ExportedLayer,
} from "./export-image.ts";
