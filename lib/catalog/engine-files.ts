/** Which dictionaries this server has an engine for: those that an `engine.json` (docs/formats.md) beside the model names. */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { env } from "@/lib/env";

let known: { file: string; stamp: number; keys: Set<string> } | undefined;

interface EngineFile {
  model?: { id?: unknown };
  dictionaries?: { id?: unknown; sha256?: unknown }[];
}

/** Address and hash: the same weights may be in the catalogue under another name, which no engine answers to. */
const keyOf = (ref: string, sha256: string) => `${ref} ${sha256}`;

/** Whether this server's engine files are those of this dictionary. They are read again when they change. */
export async function isRunnable(ref: string, sha256: string): Promise<boolean> {
  return (await runnable()).has(keyOf(ref, sha256));
}

async function runnable(): Promise<Set<string>> {
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
