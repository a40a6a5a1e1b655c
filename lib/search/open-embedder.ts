/** The text embedder that search by meaning uses: the one in this repository, or an endpoint that the environment names. */
import { env } from "@/lib/env";
import type { Embedder } from "./embedder";

const holder = globalThis as typeof globalThis & { __facetEmbedder?: Promise<Embedder | null> };

/** This process's embedder, opened on first use; null where there is none (no endpoint is named and the model's files are gone). */
export function getEmbedder(): Promise<Embedder | null> {
  holder.__facetEmbedder ??= (async () => {
    if (env.embeddings) return (await import("./embed-endpoint")).endpointEmbedder(env.embeddings);
    return (await import("./embed-minilm")).openMiniLm();
  })();
  return holder.__facetEmbedder;
}
