/** Makes the vectors of dictionaries, after their import: the catalogue is whole without them, and a search then goes by words alone. */
import { availableParallelism } from "node:os";
import type { Database } from "@/lib/catalog/db";
import { documentTexts, VectorWriter, withoutVectorsOf } from "@/lib/catalog/search-vectors";
import type { Embedder } from "./embedder";

export interface EmbedProgress {
  ref: string;
  /** Features that have their vector, of those that have words. */
  done: number;
  total: number;
  perSecond: number;
}

export interface EmbedOptions {
  onProgress?: (progress: EmbedProgress) => void;
  signal?: AbortSignal;
}

export interface EmbedResult {
  ref: string;
  features: number;
}

const batchSize = 512;
/** Texts whose vectors are kept, because labels recur: about 30 MB at 384 numbers each. */
const mostKept = 20_000;

/**
 * Brings the vectors of every dictionary to this embedder's. Each dictionary is one transaction: readers see its vectors whole or not at
 * all, and an interrupted run goes on with the dictionaries that are left. Memory is that of a batch. Throws what the embedder throws.
 */
export async function embedDictionaries(db: Database, embedder: Embedder, options: EmbedOptions = {}): Promise<EmbedResult[]> {
  const results: EmbedResult[] = [];
  const kept = new Map<string, Float32Array>();
  const threads = Math.min(4, availableParallelism());
  for (const { id, ref } of await withoutVectorsOf(db, embedder.id)) {
    const started = performance.now();
    let done = 0;
    await db.transaction(async (client) => {
      // As an import does: two at once would undo each other.
      await client.query("SELECT pg_advisory_xact_lock(hashtext('facet import'))");
      const { rows } = await client.query<{ total: number }>(
        "SELECT count(*)::int AS total FROM search_document WHERE dictionary_id = $1 AND (label <> '' OR body <> '')",
        [id],
      );
      const total = rows[0]?.total ?? 0;
      const writer = await VectorWriter.begin(client, id);
      for (let after = -1; ; ) {
        options.signal?.throwIfAborted();
        const batch = await documentTexts(client, id, after, batchSize);
        const last = batch.at(-1);
        if (!last) break;
        after = last.index;
        const fresh = [...new Set(batch.map((row) => row.text))].filter((text) => !kept.has(text));
        if (kept.size + fresh.length > mostKept) {
          for (const text of kept.keys()) if (!batch.some((row) => row.text === text)) kept.delete(text);
        }
        const made = await embedder.embed(fresh, { signal: options.signal, threads });
        fresh.forEach((text, i) => {
          kept.set(text, made[i] as Float32Array);
        });
        await writer.write(
          batch.map((row) => row.index),
          batch.map((row) => kept.get(row.text) as Float32Array),
        );
        done += batch.length;
        options.onProgress?.({ ref, done, total, perSecond: Math.round(done / Math.max(0.001, (performance.now() - started) / 1_000)) });
      }
      await writer.finish(embedder.id);
    });
    results.push({ ref, features: done });
  }
  return results;
}
