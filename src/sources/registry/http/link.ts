/**
 * `Link`: where a list goes on.
 *
 * Source: RFC 8288, 3; OCI distribution specification 1.1, "Listing Tags" and "Listing Referrers".
 */

/** Returns the address of `rel="next"`, relative or not; `undefined` where the list is at its end. */
export function nextLink(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header.join(",") : (header ?? "");
  for (const match of text.matchAll(/<(?<target>[^<>]*)>(?<parameters>[^<]*)/g)) {
    const { target, parameters } = match.groups!;
    if (/;\s*rel\s*=\s*(?:next\b|"(?:[^"]*\s)?next(?:\s[^"]*)?")/i.test(parameters!)) return target;
  }
  return undefined;
}
