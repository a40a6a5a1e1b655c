/** An embedder behind an OpenAI-compatible endpoint. What is sent: the texts and the model's name; the key goes into one header and nowhere else. */
import { z } from "zod";
import { type Embedder, normalised } from "./embedder";

export interface EndpointOptions {
  /** `https://host/v1` or the whole address that ends with `/embeddings`. */
  url: string;
  model: string;
  key?: string;
}

const answerSchema = z.object({ data: z.array(z.object({ index: z.number().int().optional(), embedding: z.array(z.number()).min(1) })) });

const batchSize = 128;
const timeoutMs = 30_000;
/** About 8,000 tokens, which is what such endpoints take. */
const mostCharacters = 16_000;

/** Throws where the address is not one. */
export function endpointEmbedder({ url, model, key }: EndpointOptions): Embedder {
  if (!URL.canParse(url)) throw new Error("FACET_EMBEDDINGS_URL is not an address.");
  const address = new URL(url);
  if (address.username || address.password)
    throw new Error("FACET_EMBEDDINGS_URL holds a name or password; FACET_EMBEDDINGS_KEY is the place.");
  if (!/^https?:$/.test(address.protocol)) throw new Error("FACET_EMBEDDINGS_URL must begin with http:// or https://.");
  if (!address.pathname.endsWith("/embeddings")) address.pathname = `${address.pathname.replace(/\/$/, "")}/embeddings`;

  async function ask(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array[]> {
    const limit = AbortSignal.timeout(timeoutMs);
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) },
      body: JSON.stringify({ model, input: texts, encoding_format: "float" }),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      // An answer from elsewhere is not the endpoint's, and the key is for nobody else.
      redirect: "error",
    });
    if (!answer.ok) {
      await answer.body?.cancel();
      throw new Error(`The embeddings endpoint at ${address.host} answered ${answer.status}.`);
    }
    const { data } = answerSchema.parse(await answer.json());
    const vectors: Float32Array[] = new Array(texts.length);
    data.forEach((item, i) => {
      vectors[item.index ?? i] = normalised(item.embedding);
    });
    const size = vectors[0]?.length;
    for (let i = 0; i < texts.length; i++) {
      if (vectors[i]?.length !== size) throw new Error(`The embeddings endpoint at ${address.host} did not answer for every text.`);
    }
    return vectors;
  }

  return {
    id: model,
    reads: (text) => /\p{L}/u.test(text),
    async embed(texts, { signal } = {}) {
      const vectors: Float32Array[] = [];
      for (let start = 0; start < texts.length; start += batchSize) {
        signal?.throwIfAborted();
        const batch = texts.slice(start, start + batchSize).map((text) => text.slice(0, mostCharacters) || " ");
        vectors.push(...(await ask(batch, signal)));
      }
      return vectors;
    },
  };
}
