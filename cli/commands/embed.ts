import { rename } from "node:fs/promises";
import { type Database, openDatabase } from "@/lib/catalog/db";
import { FacetError } from "@/lib/core/errors";
import { type EmbedProgress, embedDictionaries } from "@/lib/search/embed-dictionary";
import type { Embedder } from "@/lib/search/embedder";
import { getEmbedder } from "@/lib/search/open-embedder";

const number = new Intl.NumberFormat("en");

interface Options {
  quiet: boolean;
  signal: AbortSignal;
}

/** One line that rewrites itself on a terminal; elsewhere nothing. */
function show({ ref, done, total, perSecond }: EmbedProgress): void {
  if (process.stdout.isTTY) {
    process.stdout.write(
      `\r\x1b[2K  vectors of ${ref}: ${number.format(done)} of ${number.format(total)}, ${number.format(perSecond)} a second`,
    );
  }
}

async function embed(db: Database, embedder: Embedder, { quiet, signal }: Options): Promise<number> {
  const started = performance.now();
  const made = await embedDictionaries(db, embedder, { signal, onProgress: quiet ? undefined : show }).finally(() => {
    if (process.stdout.isTTY && !quiet) process.stdout.write("\r\x1b[2K");
  });
  const features = made.reduce((sum, result) => sum + result.features, 0);
  if (!quiet && features) {
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    console.log(`${number.format(features)} features made searchable by meaning (${embedder.id}) in ${seconds} s`);
  }
  return made.length;
}

const sentence = (error: unknown) => (error instanceof Error ? error.message : String(error));

/**
 * What follows an import: vectors for what has none. A failure is said and is none of the import's: the catalogue is whole without them.
 * The note that the import is finished is put aside meanwhile, so that the next start goes on where this one was killed.
 */
export async function embedAfterImport(db: Database, options: Options): Promise<void> {
  const aside = db.stampFile ? `${db.stampFile}.embedding` : null;
  const put = (from: string | null, to: string | null) => (from && to ? rename(from, to).catch(() => {}) : undefined);
  try {
    const embedder = await getEmbedder();
    if (!embedder) return;
    await put(db.stampFile, aside);
    await embed(db, embedder, options);
    await put(aside, db.stampFile);
  } catch (error) {
    if (!options.signal.aborted) await put(aside, db.stampFile);
    const why = options.signal.aborted ? "it was stopped" : sentence(error);
    console.error(`Search goes by words alone, for want of vectors: ${why}\nEverything else is imported. npm run facet embed makes them.`);
  }
}

/** Makes the vectors that are missing, or that another embedder made. Throws `embedder_unavailable` where there is none or it fails. */
export async function embedCommand({ quiet }: { quiet: boolean }): Promise<void> {
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  const db = await openDatabase({ migrate: "apply" });
  try {
    const embedder = await getEmbedder();
    if (!embedder) throw new Error("models/minilm is not there, and FACET_EMBEDDINGS_URL names no endpoint.");
    const made = await embed(db, embedder, { quiet, signal: stop.signal });
    if (made === 0 && !quiet) console.log(`Nothing to do: every dictionary has the vectors of ${embedder.id}.`);
  } catch (error) {
    if (error instanceof FacetError) throw error;
    throw new FacetError(
      stop.signal.aborted ? "cancelled" : "embedder_unavailable",
      stop.signal.aborted
        ? "Making vectors was stopped; dictionaries that were finished keep theirs."
        : `No vectors could be made: ${sentence(error)}`,
      { cause: error },
    );
  } finally {
    await db.close();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
