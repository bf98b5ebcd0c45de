/** SELinux labels of files, by the policy that a tree brings along. */

export type { ContentReader } from "./find-policy.ts";
export { labelTree } from "./label-tree.ts";
