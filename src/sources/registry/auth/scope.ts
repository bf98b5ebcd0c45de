/**
 * What a token has to allow.
 *
 * Source: distribution, docs/content/spec/auth/scope.md.
 */

/** To read a repository. */
export function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

/** To read and write a repository. */
export function pushScope(repository: string): string {
  return `repository:${repository}:pull,push`;
}
