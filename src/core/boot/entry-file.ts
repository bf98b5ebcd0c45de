/**
 * Boot Loader Specification, type 1: `loader/entries/NAME.conf`, lines of a key and a value.
 *
 * Lines that are not changed stay as they are, comments and unknown keys among them.
 *
 * Source: UAPI group, "The Boot Loader Specification", Type #1.
 */

import { splitKernelCmdline } from "./kernel-cmdline.ts";

/** Keys whose values are paths of files. */
const FILE_KEYS = ["linux", "initrd", "efi"] as const;

/** A file of one boot entry. Texts are one byte a code unit, or whatever the caller decodes to. */
export class BootEntryFile {
  readonly #lines: string[];

  constructor(text: string) {
    this.#lines = text.split("\n");
    if (this.#lines.at(-1) === "") this.#lines.pop();
  }

  /** The text, with a line end behind every line. */
  format(): string {
    return this.#lines.map((line) => `${line}\n`).join("");
  }

  /** The paths of kernel, initial RAM disks and EFI programs. */
  filePaths(): string[] {
    return FILE_KEYS.flatMap((key) =>
      this.#lines.flatMap((line) => valueOf(line, key)?.text ?? []),
    );
  }

  /** Puts the files that lie in directories into the directory `/id`; tells each that is moved. */
  relocate(id: string, onMove: (from: string, to: string) => void): void {
    for (const [index, line] of this.#lines.entries()) {
      for (const key of FILE_KEYS) {
        const value = valueOf(line, key);
        const slash = value?.text.lastIndexOf("/") ?? -1;
        if (value === undefined || slash < 0) continue;
        const to = `/${id}${value.text.slice(slash)}`;
        this.#lines[index] = `${line.slice(0, value.start)}${to}`;
        onMove(value.text, to);
      }
    }
  }

  /** Adds an argument for the kernel, or puts it in the place of one with the same name. */
  setOption(argument: string): void {
    const equals = argument.indexOf("=");
    const name = argument.slice(0, equals + 1) || argument;
    for (const [index, line] of this.#lines.entries()) {
      const value = valueOf(line, "options");
      if (value === undefined) continue;
      const args = splitKernelCmdline(value.text);
      const place = args.findIndex((arg) => arg.startsWith(name));
      if (place < 0) {
        this.#lines[index] = `${line} ${argument}`;
      } else {
        const before = args.slice(0, place).reduce((sum, arg) => sum + arg.length + 1, 0);
        const start = value.start + before;
        this.#lines[index] =
          line.slice(0, start) + argument + line.slice(start + args[place]!.length);
      }
      return;
    }
    this.#lines.push(`options ${argument}`);
  }
}

/** The value of a line with this key, and where in the line it starts. */
function valueOf(
  line: string,
  key: string,
): { readonly text: string; readonly start: number } | undefined {
  if (!line.startsWith(key)) return undefined;
  const space = /^\s+/.exec(line.slice(key.length))?.[0];
  if (space === undefined) return undefined;
  const start = key.length + space.length;
  return { text: line.slice(start), start };
}
