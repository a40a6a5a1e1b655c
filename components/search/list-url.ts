/** The list's own part of a dictionary page's address, beside the query that the API shares. */
import {
  defaultSort,
  type FeatureQuery,
  featureQueryKeys,
  featureQueryParams,
  parseFeatureQuery,
  type Sort,
} from "@/lib/core/feature-query";
import { barAddress, isStatic, routes } from "@/lib/core/routes";
import { withUsualSort } from "@/lib/core/usual-sort";

export const views = ["grid", "table"] as const;
export type View = (typeof views)[number];

/**
 * Cards a page: a multiple of every number of columns, so that no card changes its column when earlier pages are put before it; and few,
 * because the first page travels twice, drawn and as data to go on from.
 */
export const pageSize = 24;

/** Query keys that the page's address may carry. The dictionary is in the path, and the page size is ours. */
export const sharedKeys = featureQueryKeys.filter((key) => key !== "dictionary" && key !== "limit");
export const listKeys = [...sharedKeys, "view", "at"] as const;

export interface ListUrl {
  query: FeatureQuery;
  view: View;
  /** Index of the first card on screen. */
  at: number | null;
}

type Params = Record<string, string | string[] | null | undefined>;

/** Reads a page's address; `usual` is the dictionary's order where it names none. Throws as `parseFeatureQuery` does. */
export function parseListUrl(dictionary: string, params: Params, usual: Sort = defaultSort("")): ListUrl {
  const shared: Record<string, string | string[]> = {};
  for (const [key, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && key !== "view" && key !== "at") shared[key] = value;
  }
  const at = Number(params.at || Number.NaN);
  return {
    query: { ...withUsualSort(parseFeatureQuery(shared), Boolean(shared.sort), usual), dictionary, limit: pageSize },
    view: params.view === "table" ? "table" : "grid",
    at: Number.isInteger(at) && at >= 0 ? at : null,
  };
}

/** What a page's address says of a query: without dictionary, limit and place. */
export function listParams(query: FeatureQuery): Record<string, string> {
  const { dictionary: _, limit: __, cursor: ___, ...params } = featureQueryParams(query);
  return params;
}

/** One text for one list: all but the place in it. */
export function listKey(query: FeatureQuery): string {
  return `${query.dictionary}?${fromParam(query)}`;
}

/** Whether an address is of this list; `usual` as in `parseListUrl`. */
export function isAddressOf(key: string, address: { pathname: string; search: string }, usual?: Sort): boolean {
  const dictionary = key.slice(0, key.indexOf("?"));
  const [pathname] = routes.dictionary(dictionary).split("?");
  if (address.pathname !== barAddress(pathname as string)) return false;
  // A copy of files names the dictionary in the query.
  if (isStatic && new URLSearchParams(address.search).get("dictionary") !== dictionary) return false;
  try {
    return listKey(parseListUrl(dictionary, Object.fromEntries(new URLSearchParams(address.search)), usual).query) === key;
  } catch {
    return false;
  }
}

/** For `routes.feature(…, { from })`: the list that previous and next follow. */
export function fromParam(query: FeatureQuery): string {
  return new URLSearchParams(listParams(query)).toString();
}
