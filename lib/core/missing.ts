import { z } from "zod";

/** What a page's address names that the catalogue lacks, and how proxy.ts tells the page of it. */
const missingSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("dictionary"), ref: z.string() }),
  z.object({ kind: z.literal("feature"), ref: z.string(), index: z.string() }),
  z.object({ kind: z.literal("image"), sha256: z.string() }),
  z.object({ kind: z.literal("experiment"), id: z.string() }),
]);
export type Missing = z.infer<typeof missingSchema>;

/** A request header; the proxy overwrites whatever a client sends. */
export const missingHeader = "x-missing";

export const writeMissing = (missing: Missing): string => encodeURIComponent(JSON.stringify(missing));

/** Null where nothing is missing, and where a client wrote the header itself on a request that the proxy leaves alone. */
export function readMissing(headers: Pick<Headers, "get">): Missing | null {
  const value = headers.get(missingHeader);
  if (!value) return null;
  try {
    return missingSchema.parse(JSON.parse(decodeURIComponent(value)));
  } catch {
    return null;
  }
}
