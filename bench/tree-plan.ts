/**
 * The input of the bench as a plan: directories, files and symbolic links like those of a real /usr.
 *
 * Sizes follow the percentiles of a Debian 12 development machine's /usr (133,597 files, 5.5 GB), scaled
 * to the total that is asked for; directories are as deep (mean 7, up to 16); 15 % of the files have
 * the content of another one. Made from a seed: the same on every machine.
 */

import { randomFrom } from "./random.ts";

/** What is asked for. */
export interface PlanSize {
  readonly files: number;
  readonly bytes: number;
}

/** A file to make. Files with the same `content` have the same size and bytes. */
export interface PlannedFile {
  readonly path: string;
  readonly size: number;
  readonly content: number;
  readonly executable: boolean;
}

/** A tree to make; every path is relative, and a directory comes before what is in it. */
export interface TreePlan {
  readonly directories: readonly string[];
  readonly files: readonly PlannedFile[];
  readonly symlinks: readonly { readonly path: string; readonly target: string }[];
}

/** Part of the files, and their size at most, in bytes: what `find /usr -type f -printf %s` gave. */
const SIZES: readonly (readonly [part: number, size: number])[] = [
  [0, 0],
  [0.01, 0],
  [0.05, 182],
  [0.1, 354],
  [0.2, 659],
  [0.3, 1004],
  [0.4, 1346],
  [0.5, 1900],
  [0.6, 2917],
  [0.7, 4755],
  [0.8, 9490],
  [0.9, 22966],
  [0.95, 50104],
  [0.99, 246913],
  [0.999, 4542776],
  [1, 60000000],
];

const DUPLICATES = 0.15;
const FILES_IN_DIRECTORY = 10;
const FILES_PER_SYMLINK = 20;
const MAX_DEPTH = 16;
const EXTENSIONS = ["", ".so", ".py", ".h", ".conf", ".js", ".mo", ".txt", ".gz", ".o"];

/** Plans a tree. */
export function planTree(size: PlanSize, seed = 1): TreePlan {
  const random = randomFrom(seed);
  const directories = planDirectories(Math.ceil(size.files / FILES_IN_DIRECTORY), random);
  const place = (): string => directories[Math.floor(directories.length * random() ** 2)]!;
  const name = (index: number): string =>
    `${word(random)}-${index.toString(36)}${EXTENSIONS[Math.floor(random() * EXTENSIONS.length)]}`;

  const files: PlannedFile[] = [];
  const drawn = Array.from({ length: size.files }, () => drawSize(random()));
  const scale = size.bytes / drawn.reduce((sum, one) => sum + one, 0);
  for (const [index, one] of drawn.entries()) {
    const path = `${place()}/${name(index)}`;
    const executable = random() < 0.1;
    const original = random() < DUPLICATES ? files[Math.floor(random() * index)] : undefined;
    const { content, size: bytes } = original ?? { content: index, size: Math.round(one * scale) };
    files.push({ path, size: bytes, content, executable });
  }

  const symlinks = Array.from(
    { length: Math.floor(size.files / FILES_PER_SYMLINK) },
    (_, index) => {
      const target = files[Math.floor(random() * files.length)]!.path;
      return { path: `${place()}/link-${name(index)}`, target: `/usr/${target}` };
    },
  );
  return { directories, files, symlinks };
}

function planDirectories(count: number, random: () => number): string[] {
  const directories = ["bin", "lib", "share", "include", "libexec", "src"];
  while (directories.length < count) {
    const parent = directories[Math.floor(random() * directories.length)]!;
    if (parent.split("/").length >= MAX_DEPTH) continue;
    directories.push(`${parent}/${word(random)}${directories.length.toString(36)}`);
  }
  return directories;
}

function drawSize(part: number): number {
  const upper = SIZES.findIndex(([limit]) => part < limit);
  const [from, small] = SIZES[upper - 1]!;
  const [to, large] = SIZES[upper]!;
  const within = (part - from) / (to - from);
  // Between two percentiles sizes grow by factors, not by steps.
  return Math.round((small + 1) * ((large + 1) / (small + 1)) ** within - 1);
}

function word(random: () => number): string {
  const length = 3 + Math.floor(random() * 12);
  let text = "";
  for (let i = 0; i < length; i++) text += String.fromCharCode(97 + Math.floor(random() * 26));
  return text;
}
