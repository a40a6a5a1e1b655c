/** What a request brings, checked: its body, read no further than allowed, and the query of its address. */
import type { z } from "zod";
import { FacetError } from "@/lib/core/errors";

function tooLarge(maxBytes: number): FacetError {
  return new FacetError("too_large", `The request is larger than ${Math.floor(maxBytes / 1024 / 1024)} MB.`, {
    fix: "Send a smaller image.",
  });
}

/** The chunks of a body. Throws `cancelled` where the client leaves before it has sent all. */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body as unknown as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw new FacetError("cancelled", "The client left before its request was whole.", { cause });
  }
}

async function readText(request: Request, maxBytes: number): Promise<string> {
  // What a client claims serves to refuse early; what it sends is counted all the same.
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (!request.body) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of chunksOf(request.body)) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Where in a request a schema found fault: `interventions[0].value`. */
export function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, key) => (typeof key === "number" ? `${name}[${key}]` : name ? `${name}.${String(key)}` : String(key)),
    "",
  );
}

/** Any input by a schema. Throws `invalid_request`, naming the field. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue ? fieldName(issue.path) : "";
  const what = issue?.message ?? "not as described";
  throw new FacetError("invalid_request", `${field ? `The field ${field}` : "The request"} does not fit (${what}).`, {
    fix: "Correct it and send the request again; /api/openapi.json describes every input.",
    cause: parsed.error,
  });
}

/** Query parameters by a strict schema. Throws `unknown_query_key` and `invalid_request`, naming the key. An empty value counts as absent. */
export function parseParams<S extends z.ZodObject>(schema: S, params: URLSearchParams): z.infer<S> {
  const values: Record<string, string> = {};
  for (const [key, value] of params) {
    if (!(key in schema.shape)) {
      const known = Object.keys(schema.shape).join(", ") || "none";
      throw new FacetError("unknown_query_key", `"${key.slice(0, 60)}" is not a query key of this address; known: ${known}.`);
    }
    if (key in values) throw new FacetError("invalid_request", `"${key}" is given twice.`);
    if (value !== "") values[key] = value;
  }
  return parseInput(schema, values);
}

/** Throws `too_large` beyond `maxBytes`, `cancelled`, and `invalid_request` naming the field for everything that the schema refuses. */
export async function readJson<S extends z.ZodType>(request: Request, schema: S, maxBytes: number): Promise<z.infer<S>> {
  const text = await readText(request, maxBytes);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new FacetError("invalid_request", "The request's body is not JSON.", { fix: "Send a JSON object.", cause });
  }
  return parseInput(schema, json);
}
