/** What a cache over texts brings: examples on the texts that they show, their tokens as a tokenizer spells them. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import type { textColumns } from "../bundle";
import { slugOf } from "../combine";
import { sha256OfFile } from "../manifest";
import type { Row } from "../parquet";
import type { TensorEntry } from "../safetensors";
import { emptyTable, invalidFile, madeTable, type Part, type ReadOptions } from "../source";
import { type CacheTables, exampleRow, readCache } from "./cache-tables";
import { type CacheSource, number } from "./image-part";
import { readJson } from "./json-entries";
import { spooledTable } from "./spool";
import { integerRows } from "./tensor-rows";

type TablesPart = Extract<Part, { kind: "tables" }>;

/** Whether the file is a tokenizer.json. */
export async function isTokenizer(file: string): Promise<boolean> {
  if (!file.endsWith("tokenizer.json")) return false;
  const json = await readJson(file).catch(() => null);
  return typeof json === "object" && json !== null && "model" in json && "added_tokens" in json;
}

/** The tokenizer that was named, else one among the paths, in the cache's folder or up to two above it. */
async function tokenizerFile(folder: string, options: ReadOptions): Promise<string | null> {
  if (options.tokenizer) {
    if (await isTokenizer(options.tokenizer)) return options.tokenizer;
    throw invalidFile(`${options.tokenizer} is no tokenizer.json.`, "Name the tokenizer.json of the model that the cache was made with.");
  }
  const at = path.resolve(folder);
  const near = [at, path.dirname(at), path.dirname(path.dirname(at))].map((one) => path.join(one, "tokenizer.json"));
  for (const file of [...(options.paths ?? []).filter((one) => one.endsWith("tokenizer.json")), ...near]) {
    if (await stat(file).catch(() => null)) if (await isTokenizer(file)) return file;
  }
  return null;
}

/** Spells tokens one by one, as delphi shows them. */
async function speller(file: string): Promise<(id: number) => string> {
  const tokenizer = new Tokenizer((await readJson(file)) as object, {});
  const known = new Map<number, string>();
  return (id) => {
    let text = known.get(id);
    if (text === undefined) {
      text = tokenizer.decode([id], { skip_special_tokens: false, clean_up_tokenization_spaces: false });
      known.set(id, text);
    }
    return text;
  };
}

/** `model_name` of the cache's config.json. */
async function modelOf(folder: string): Promise<{ id: string; name: string } | undefined> {
  const file = path.join(folder, "config.json");
  if (!(await stat(file).catch(() => null))) return undefined;
  const { model_name } = ((await readJson(file)) ?? {}) as { model_name?: unknown };
  return typeof model_name === "string" && slugOf(model_name) ? { id: slugOf(model_name), name: model_name } : undefined;
}

const silence = (tables: CacheTables) => (tables.silent ? ` ${number(tables.silent)} features fire on none of them.` : "");

/** The part that a cache over texts makes; `tokens` [texts, length] lie in `file`. */
export async function textCachePart(
  source: CacheSource,
  { file, tokens }: { file: string; tokens: TensorEntry },
  options: ReadOptions,
): Promise<TablesPart> {
  const [items = 0, cells = 0] = tokens.shape;
  if (items === 0 || cells === 0 || cells > 65_536) throw invalidFile(`${file}: "tokens" is [${tokens.shape}].`, "Cache again.");
  const shape = { items, cells, grid: null };
  const tables = await readCache(source.segments, shape, source.unsaved, options.signal);
  const spelledBy = await tokenizerFile(source.path, options);
  const spell = spelledBy ? await speller(spelledBy) : null;
  async function* texts(): AsyncGenerator<Row<typeof textColumns>> {
    for (const id of tables.items) {
      const ids = Array.from(await integerRows(file, tokens, cells, id, id + 1));
      yield { id, tokens: ids.map((one) => (spell as (id: number) => string)(one)), image: null };
    }
  }
  const shown = spell
    ? ` Examples show ${number(tables.items.length)} texts, spelled by ${spelledBy}.`
    : " Tokens are numbers, and without the tokenizer there are statistics but no examples: give the model's tokenizer.json too, as a path or with --tokenizer.";
  const content = createHash("sha256").update(source.content);
  if (spelledBy) content.update(await sha256OfFile(spelledBy));
  return {
    kind: "tables",
    format: source.format,
    path: source.path,
    hook: source.hook,
    model: await modelOf(source.path),
    found: `${source.path}: ${source.what} of ${number(source.num_latents)} features over ${number(items)} texts of ${cells} tokens.${silence(tables)}${shown}`,
    content: content.digest("hex"),
    num_latents: source.num_latents,
    measured: { images: 0, image_tokens: null, text_tokens: items * cells },
    tables: {
      features: spooledTable(source.path, tables.features, (row) => row),
      activations: spell
        ? spooledTable(source.path, tables.examples, (example) => exampleRow(example, shape, null))
        : emptyTable(source.path),
    },
    texts: spell ? madeTable(file, tables.items.length, texts) : undefined,
  };
}
