import { z } from "zod";
import { errorCodes, errorTable } from "./errors";

/** Why the page at an address cannot be shown, and how proxy.ts, which chooses the status, tells the page of it. */
const missingSchema = z.discriminatedUnion("kind", [
  /** `sha256`: the picture that was to be seen through this dictionary. */
  z.object({ kind: z.literal("dictionary"), ref: z.string(), sha256: z.string().optional() }),
  z.object({ kind: z.literal("feature"), ref: z.string(), index: z.string() }),
  z.object({ kind: z.literal("image"), sha256: z.string() }),
  z.object({ kind: z.literal("experiment"), id: z.string() }),
  /** A link pinned to another version; `present`: those of the catalogue, the latest first. */
  z.object({ kind: z.literal("version"), ref: z.string(), index: z.string().optional(), asked: z.string(), present: z.array(z.string()) }),
  /** The catalogue does not answer, or the address asks for what cannot be answered; `ref`: whose list it asks for. */
  z.object({
    kind: z.literal("error"),
    error: z.object({ code: z.enum(errorCodes), message: z.string(), fix: z.string(), retry: z.boolean() }),
    ref: z.string().optional(),
  }),
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

/** The HTTP status of the page that says so. */
export function missingStatus(missing: Missing): number {
  if (missing.kind === "error") return errorTable[missing.error.code].status;
  return missing.kind === "version" ? errorTable.version_mismatch.status : 404;
}
