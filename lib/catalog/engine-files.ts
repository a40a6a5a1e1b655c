/** Which dictionaries this server has an engine for: those that an `engine.json` (docs/formats.md) beside the model names. */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { env } from "@/lib/env";

let known: { stamp: number; hashes: Set<string> } | undefined;

/** Hashes of the dictionaries; none where there are no engine files. Read again when the file changes. */
export async function runnableDictionaries(): Promise<Set<string>> {
  const file = path.join(/* turbopackIgnore: true */ env.engineDir, "engine.json");
  try {
    const stamp = (await stat(file)).mtimeMs;
    if (known?.stamp === stamp) return known.hashes;
    const json = JSON.parse(await readFile(file, "utf8")) as { dictionaries?: { sha256?: unknown }[] };
    const hashes = new Set((json.dictionaries ?? []).flatMap(({ sha256 }) => (typeof sha256 === "string" ? [sha256] : [])));
    known = { stamp, hashes };
    return hashes;
  } catch {
    // No file, or one that the engine will refuse by itself: nothing can be run.
    return new Set();
  }
}
