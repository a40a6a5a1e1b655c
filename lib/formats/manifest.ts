/** `manifest.json` of a bundle (docs/formats.md) and the check of its files against it. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { FacetError } from "@/lib/core/errors";
import { sha256Schema } from "@/lib/core/protocol";

const slug = z.string().regex(/^[\w.-]+$/, "letters, digits, '.', '_' and '-' only");
/** A metric that was not measured is null, or left out. */
const measured = z.number().nullable().default(null);
const count = z.number().int().min(0);

const dictionarySchema = z.object({
  id: slug,
  hook: z.string(),
  layer: z.number().int(),
  sha256: sha256Schema,
  num_latents: count,
  width: count.nullable().default(null),
  activation: z.string(),
  k: count.nullable().default(null),
  metrics: z.object({
    explained_variance: measured,
    fvu: measured,
    l0: measured,
    dead_share: measured,
    loss_recovered: measured,
  }),
  images: count,
  image_tokens: count.nullable().default(null),
  text_tokens: count.nullable().default(null),
  /**
   * In a bundle that was exported from a catalogue: the content that the dictionary had there, so that importing it again changes nothing. It
   * counts as long as the bundle's own content is `files`, as it was written.
   */
  origin: z.object({ content: sha256Schema, files: sha256Schema }).optional(),
  folder: z.string(),
});

export const manifestSchema = z.object({
  format: z.literal("facet-bundle/1"),
  model: z.object({
    id: slug,
    name: z.string(),
    sha256: sha256Schema.nullable().default(null),
    image_size: z.number().int().nullable().default(null),
    grid: z
      .object({ rows: z.number().int().min(1), cols: z.number().int().min(1) })
      .nullable()
      .default(null),
  }),
  attribution: z.string().nullable().default(null),
  dictionaries: z.array(dictionarySchema).min(1),
  files: z.record(z.string(), z.object({ sha256: sha256Schema, bytes: count, rows: count.optional() })),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestDictionary = Manifest["dictionaries"][number];

export const tableNames = ["features", "activations", "explanations", "scores", "neighbours", "tokens"] as const;
export type TableName = (typeof tableNames)[number];

/** Path of a dictionary's table inside the bundle. */
export function tablePath(dictionary: ManifestDictionary, table: TableName): string {
  return path.posix.join(dictionary.folder, `${table}.parquet`);
}

/** Refuses a bundle, naming what is wrong and what to do about it. */
export function invalidBundle(message: string, fix?: string, cause?: unknown): FacetError {
  return new FacetError("bundle_invalid", message, { fix, cause });
}

/** Reads and checks `manifest.json` in `folder`. Throws `bundle_invalid`, naming the key. */
export async function readManifest(folder: string): Promise<Manifest> {
  const file = path.join(folder, "manifest.json");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw invalidBundle(
      `${folder} has no readable manifest.json.`,
      "Give the folder of a bundle, the one that holds manifest.json.",
      cause,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (cause) {
    throw invalidBundle(`${file} is not JSON.`, undefined, cause);
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalidBundle(
      `${file}: "${issue?.path.join(".") || "(root)"}" is wrong: ${issue?.message}.`,
      "Make the bundle again with this version's pipeline; docs/formats.md describes every key.",
      parsed.error,
    );
  }
  const manifest = parsed.data;
  const needed = [
    "images.parquet",
    "texts.parquet",
    ...manifest.dictionaries.flatMap((dictionary) => tableNames.map((table) => tablePath(dictionary, table))),
  ];
  for (const name of needed) {
    if (!manifest.files[name]) throw invalidBundle(`${file}: "files" does not list ${name}.`);
  }
  for (const name of Object.keys(manifest.files)) {
    const inside = path.relative(folder, path.resolve(folder, name));
    if (path.isAbsolute(name) || inside.startsWith(".."))
      throw invalidBundle(`${file}: "files" names ${name}, which lies outside the bundle.`);
  }
  const ids = manifest.dictionaries.map((dictionary) => dictionary.id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice) throw invalidBundle(`${file}: the dictionary "${twice}" is listed twice.`);
  return manifest;
}

export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** Checks the size and the hash of every file that the manifest lists. Throws `bundle_invalid`, naming the first that differs. */
export async function verifyFiles(folder: string, manifest: Manifest, onProgress?: (done: number, total: number) => void): Promise<void> {
  const remedy = "Copy or download the bundle again; nothing of it was imported.";
  const files = Object.entries(manifest.files);
  for (const [name, expected] of files) {
    const file = path.join(folder, name);
    const size = await stat(file).then(
      (stats) => stats.size,
      () => null,
    );
    if (size === null) throw invalidBundle(`${file} is missing.`, remedy);
    if (size !== expected.bytes) throw invalidBundle(`${file} has ${size} bytes; the manifest says ${expected.bytes}.`, remedy);
  }
  for (const [i, [name, expected]] of files.entries()) {
    onProgress?.(i, files.length);
    const file = path.join(folder, name);
    if ((await sha256OfFile(file)) !== expected.sha256)
      throw invalidBundle(`${file} is damaged: its SHA-256 is not the manifest's.`, remedy);
  }
}

/**
 * What an import of one dictionary depends on, as one hash: its manifest entry, the model, and the hashes of its files and of the images
 * and texts that they name.
 */
export function filesHash(manifest: Manifest, { origin: _, ...dictionary }: ManifestDictionary): string {
  const files = ["images.parquet", "texts.parquet", ...tableNames.map((table) => tablePath(dictionary, table))];
  const parts = [manifest.model, manifest.attribution, dictionary, files.map((name) => [name, manifest.files[name]?.sha256])];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** The content of a dictionary: that of the catalogue that it was exported from, where nothing was changed since, else its files'. */
export function contentHash(manifest: Manifest, dictionary: ManifestDictionary): string {
  const files = filesHash(manifest, dictionary);
  return dictionary.origin?.files === files ? dictionary.origin.content : files;
}
