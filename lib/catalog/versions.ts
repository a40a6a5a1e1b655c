/**
 * Versions of a dictionary: what lies in the catalogue under one `<model>/<dictionary>`. Other weights are another version, and so is other
 * content (explanations, examples, statistics) for the same weights. A version's key is 64 hexadecimal digits, of which links carry 12.
 */
import { createHash } from "node:crypto";

export interface VersionRow {
  /** SHA-256 of the weights. */
  sha256: string;
  /** Of what it was imported from. */
  contentSha256: string;
  version: string;
}

/** The key of one content of some weights: the same in every catalogue. */
export function contentVersion(sha256: string, contentSha256: string): string {
  return createHash("sha256").update(`${sha256} ${contentSha256}`).digest("hex");
}

/**
 * Those of the rows that `asked` names, by the beginning of a key: the version of that name; else that content, whatever it is called here;
 * else whatever has these weights. In the rows' order.
 */
export function rowsOfVersion<R extends VersionRow>(rows: readonly R[], asked: string): R[] {
  const ways: ((row: R) => string)[] = [(row) => row.version, (row) => contentVersion(row.sha256, row.contentSha256), (row) => row.sha256];
  for (const way of ways) {
    const named = rows.filter((row) => way(row).startsWith(asked));
    if (named.length) return named;
  }
  return [];
}
