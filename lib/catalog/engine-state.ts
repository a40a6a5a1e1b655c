/**
 * Whether a dictionary can be run here: by a worker, or by this process where an `engine.json` (docs/formats.md) beside the model names it. Says what
 * `engineFor` of lib/engine/registry.ts would find.
 */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { Dictionary } from "@/lib/core/records";
import { env } from "@/lib/env";
import { workerSays } from "@/lib/workers/workers";

let known: { file: string; stamp: number; keys: Set<string> } | undefined;

interface EngineFile {
  model?: { id?: unknown };
  dictionaries?: { id?: unknown; sha256?: unknown }[];
}

/** Address and hash: the same weights may be in the catalogue under another name, which no engine answers to. */
const keyOf = (ref: string, sha256: string) => `${ref} ${sha256}`;

/** Asked at once for a page: a worker that is away or slow keeps nobody waiting for long. */
export async function engineState(ref: string, sha256: string): Promise<Dictionary["engine"]> {
  const says = await workerSays(ref, sha256);
  if (says === "ready") return "ready";
  // Its requests would go to the worker and be refused.
  if (says === "other") return "none";
  if ((await ownDictionaries()).has(keyOf(ref, sha256))) return "ready";
  return says === "none" ? "none" : "unreachable";
}

/** Those that this process runs by itself. They are read again when the file changes. */
async function ownDictionaries(): Promise<Set<string>> {
  if (env.engineInTabOnly) return new Set();
  const file = path.join(/* turbopackIgnore: true */ env.engineDir, "engine.json");
  try {
    const stamp = (await stat(file)).mtimeMs;
    if (known?.file === file && known.stamp === stamp) return known.keys;
    const { model, dictionaries = [] } = JSON.parse(await readFile(file, "utf8")) as EngineFile;
    const keys = new Set(
      dictionaries.flatMap(({ id, sha256 }) => (typeof sha256 === "string" ? [keyOf(`${model?.id}/${id}`, sha256)] : [])),
    );
    known = { file, stamp, keys };
    return keys;
  } catch {
    // No file, or one that the engine will refuse by itself: nothing can be run.
    return new Set();
  }
}
