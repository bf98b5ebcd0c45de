/** Trees out of directories, and their files into an object store. */

export { scanDirectory } from "./scan.ts";
export type { ScanCounts, ScanOptions, ScanProgress, ScanResult } from "./options.ts";
