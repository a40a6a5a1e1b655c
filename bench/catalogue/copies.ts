/** More dictionaries of the same rows, under other names: what a catalogue of several costs the questions about one. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Manifest } from "@/lib/formats/manifest";

/** A bundle of `count` dictionaries whose files are those of the bundle in `from`. */
export async function ensureCopies(from: string, to: string, count: number): Promise<void> {
  if (existsSync(path.join(to, "manifest.json"))) return;
  const manifest = JSON.parse(await readFile(path.join(from, "manifest.json"), "utf8")) as Manifest;
  const [first] = manifest.dictionaries;
  if (!first) throw new Error(`${from} has no dictionary.`);
  for (const name of Object.keys(manifest.files)) {
    await mkdir(path.dirname(path.join(to, name)), { recursive: true });
    await link(path.join(from, name), path.join(to, name));
  }
  manifest.dictionaries = Array.from({ length: count }, (_, i) => {
    const id = `model.layers.${i + 1}`;
    return { ...first, id, hook: id, layer: i + 1, sha256: createHash("sha256").update(`${first.sha256} ${id}`).digest("hex") };
  });
  await writeFile(path.join(to, "manifest.json"), JSON.stringify(manifest));
}
