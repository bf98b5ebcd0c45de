/** The version of the package, as package.json has it (a test compares the two). */
export const VERSION = "0.1.0";

/** The day of that version, for the man pages. */
export const VERSION_DATE = "2026-11-21";

/** What `--version` prints; tells these commands from C's, which have the same names. */
export function versionLine(program: string): string {
  return `${program} (composefs for Node.js) ${VERSION}\n`;
}
