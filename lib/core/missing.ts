/** What a page's address names that the catalogue lacks, and how proxy.ts tells the page of it. */
export type Missing =
  | { kind: "dictionary"; ref: string }
  | { kind: "feature"; ref: string; index: string }
  | { kind: "image"; sha256: string };

/** A request header; the proxy overwrites whatever a client sends. */
export const missingHeader = "x-missing";

export const writeMissing = (missing: Missing): string => encodeURIComponent(JSON.stringify(missing));

export function readMissing(headers: Pick<Headers, "get">): Missing | null {
  const value = headers.get(missingHeader);
  return value ? (JSON.parse(decodeURIComponent(value)) as Missing) : null;
}
