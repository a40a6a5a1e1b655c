/** A list as its page's address names it. */
import { FacetError } from "@/lib/core/errors";
import { type FeatureQuery, parseFeatureQuery } from "@/lib/core/feature-query";

export interface ListAddress {
  query: FeatureQuery;
  /** Whether the address names an order; where it does not, a page takes its dictionary's usual one (lib/core/usual-sort.ts). */
  sorted: boolean;
  /** First digits of the dictionary's hash, where the address pins a version. */
  version?: string;
}

/**
 * Reads `address`: what stands after the question mark of a list's page, or that page's whole address. What is of the page only (how much of
 * the list it shows, and as what) is left out. Throws as `parseFeatureQuery`, and `invalid_request` for the address of another dictionary.
 */
export function parseListAddress(ref: string, address: string): ListAddress {
  const parts = /^(?:(?:[a-z]+:\/\/[^/?#]+)?(\/[^?#]*))?(?:\?|$)/i.exec(address);
  const [head = "", place] = parts ?? [];
  const search = address.slice(head.length);
  if (place !== undefined && place !== `/d/${ref}` && place !== "/api/features" && place !== "/api/features.csv") {
    throw new FacetError("invalid_request", `${place.slice(0, 200)} is not the page of ${ref}.`, {
      fix: "Name the dictionary whose list that page shows.",
    });
  }
  const params = new URLSearchParams(place === undefined ? search : search.replace(/#.*$/, ""));
  const version = params.get("v") ?? undefined;
  const named = params.get("dictionary");
  if (named !== null && named !== ref) {
    throw new FacetError("invalid_request", `The address names the dictionary "${named.slice(0, 200)}", the command ${ref}.`, {
      fix: "Name one of them.",
    });
  }
  for (const key of ["v", "dictionary", "limit", "cursor", "view", "at"]) params.delete(key);
  params.set("dictionary", ref);
  return { query: parseFeatureQuery(params), sorted: Boolean(params.get("sort")), version };
}
