import { z } from "zod";
import { errorCodes, FacetError } from "@/lib/core/errors";
import { isStatic } from "@/lib/core/routes";

/** How every route answers a failure. */
export const errorBodySchema = z.strictObject({
  error: z.strictObject({ code: z.enum(errorCodes), message: z.string(), fix: z.string(), retry: z.boolean() }),
});

/** Turns a failed response into the error that the server meant. */
export async function errorFromResponse(response: Response): Promise<FacetError> {
  const body = errorBodySchema.safeParse(await response.json().catch(() => null));
  if (body.success) return new FacetError(body.data.error.code, body.data.error.message, { fix: body.data.error.fix });
  return new FacetError("internal", `The server answered with status ${response.status}.`);
}

/**
 * Fetches one of our own addresses and checks the answer against its schema. Throws `FacetError`: the server's own,
 * `catalogue_unreachable` when no answer came, `internal` when it is not what the schema says. An abort is passed on as it is.
 */
export async function fetchJson<S extends z.ZodType>(schema: S, url: string, init: RequestInit = {}): Promise<z.infer<S>> {
  if (isStatic) return fromFiles(schema, url, init);
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new FacetError("catalogue_unreachable", "The Facet server does not answer.", {
      fix: "Check that it still runs, then try again.",
      cause,
    });
  }
  if (!response.ok) throw await errorFromResponse(response);
  try {
    return schema.parse(await response.json());
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new FacetError("internal", "The server's answer broke off, or is not one of this version's.", {
      fix: "Load the page again; if it fails again, restart Facet.",
      cause,
    });
  }
}

/** The same in a copy of files: answered in this tab. Loaded here and by name, so that the server's pages ship none of it. */
async function fromFiles<S extends z.ZodType>(schema: S, url: string, init: RequestInit): Promise<z.infer<S>> {
  const { answer } = await import("@/lib/static/answer");
  const body = typeof init.body === "string" ? init.body : undefined;
  return schema.parse(await answer(url, { signal: init.signal ?? undefined, method: init.method, body }));
}
