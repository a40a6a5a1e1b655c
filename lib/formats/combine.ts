/** The parts that other tools leave apart (weights, caches, explanations, scores), put together into what one import reads. */
import { createHash } from "node:crypto";
import type { DictionaryTables, explanationColumns, featureColumns } from "./bundle";
import { decoderNeighbourTable } from "./decoder-neighbours";
import { hookOf } from "./hook";
import type { Columns, Row, Table } from "./parquet";
import { emptyTable, type FeatureRow, invalidFile, madeTable, type Part, type ReadOptions, type Source, unmeasured } from "./source";

type Weights = Extract<Part, { kind: "weights" }>;
type Tables = Extract<Part, { kind: "tables" }>;

const hash = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex");
const names = (parts: Part[]) => parts.map((part) => part.path).join(" and ");

/** A name as addresses take it. */
export const slugOf = (name: string) =>
  name
    .replace(/[^\w.-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 120);

/** Room for each part's own text numbers. */
const textsAPart = 2 ** 32;

/** All rows of the tables, one table after the other. */
export function concatenated<C extends Columns>(tables: Table<C>[]): Table<C> {
  const [first] = tables;
  if (!first) return emptyTable();
  if (tables.length === 1) return first;
  return {
    file: tables.map((table) => table.file).join(" + "),
    rows: tables.reduce((sum, table) => sum + table.rows, 0),
    async *batches(size) {
      for (const table of tables) yield* table.batches(size);
    },
  };
}

/** The same rows, each changed. */
export function mapped<C extends Columns>(table: Table<C>, change: (row: Row<C>) => Row<C>): Table<C> {
  return {
    file: table.file,
    rows: table.rows,
    async *batches(size) {
      for await (const batch of table.batches(size)) yield batch.map(change);
    },
  };
}

async function* rowsOf<C extends Columns>(table: Table<C>): AsyncGenerator<Row<C>> {
  for await (const batch of table.batches()) yield* batch;
}

/**
 * Every feature from 0 to `count` - 1: what the tables say of it, the first of them that says anything of a column, and nulls for the rest.
 * Each table is in ascending order of index, so that one row of each is in memory.
 */
export function mergedFeatures(tables: Table<typeof featureColumns>[], count: number): Table<typeof featureColumns> {
  async function* merge(): AsyncGenerator<FeatureRow> {
    const streams = tables.map((table) => ({ table, rows: rowsOf(table), last: -1, head: undefined as FeatureRow | undefined }));
    const advance = async (stream: (typeof streams)[number]) => {
      stream.head = (await stream.rows.next()).value ?? undefined;
      const index = stream.head?.index;
      if (index === undefined) return;
      if (index <= stream.last) {
        throw invalidFile(
          `${stream.table.file}: feature ${index} comes after feature ${stream.last}.`,
          "Each feature comes once, in ascending order.",
        );
      }
      if (index >= count) {
        throw invalidFile(
          `${stream.table.file} speaks of feature ${index}; the dictionary has the features 0 to ${count - 1}.`,
          "Give the files of the same dictionary.",
        );
      }
      stream.last = index;
    };
    for (const stream of streams) await advance(stream);
    for (let index = 0; index < count; index++) {
      const row: Record<string, unknown> = unmeasured(index);
      for (const stream of streams) {
        if (stream.head?.index !== index) continue;
        for (const [column, value] of Object.entries(stream.head)) row[column] ??= value;
        await advance(stream);
      }
      yield row as FeatureRow;
    }
  }
  return madeTable(tables.map((table) => table.file).join(" + ") || "(no features)", count, merge);
}

/**
 * The explanations of all tables. Each file prefers its own; where several have one of a feature, the first file's is the label that lists
 * show. Memory: two bytes a feature.
 */
export function joinedExplanations(tables: Table<typeof explanationColumns>[], count: number): Table<typeof explanationColumns> {
  if (tables.length < 2) return concatenated(tables);
  async function* join() {
    // Which table's explanation of a feature is preferred, counted from 1.
    const preferredIn = new Uint16Array(count);
    for (const [i, table] of tables.entries()) {
      for await (const row of rowsOf(table)) {
        const before = preferredIn[row.index] ?? 0;
        if (!row.preferred) yield row;
        else if (before === 0) {
          preferredIn[row.index] = i + 1;
          yield row;
        } else if (before === i + 1) {
          throw invalidFile(`${table.file}: feature ${row.index} has more than one preferred explanation.`, "Prefer one of them.");
        } else yield { ...row, preferred: false };
      }
    }
  }
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  return madeTable(tables.map((table) => table.file).join(" + "), rows, join);
}

/** Groups by hook. A part without one belongs to the only dictionary there is. */
function grouped(parts: Part[], options: ReadOptions): Map<string, Part[]> {
  const saidBy = (part: Part) => (part.kind === "weights" ? part.weights.hook : part.hook);
  const groups = new Map<string, Part[]>();
  for (const part of parts) {
    const hook = saidBy(part) ?? options.hook;
    if (hook !== undefined) groups.set(hook, [...(groups.get(hook) ?? []), part]);
  }
  const loose = parts.filter((part) => (saidBy(part) ?? options.hook) === undefined);
  if (loose.length === 0) return groups;
  const [only, ...others] = [...groups.keys()];
  if (only === undefined) {
    throw invalidFile(`${names(loose)}: nothing says which hook this is of.`, "Add --hook, for example --hook model.layers.24.");
  }
  if (others.length) {
    throw invalidFile(
      `${names(loose)}: nothing says which of ${[...groups.keys()].join(", ")} this is of.`,
      "Import the files of one hook at a time, with --hook.",
    );
  }
  groups.set(
    only,
    parts.filter((part) => loose.includes(part) || groups.get(only)?.includes(part)),
  );
  return groups;
}

function modelOf(parts: Part[], options: ReadOptions): { id: string; name: string } {
  const named = parts.flatMap((part) => part.model ?? []);
  const [first] = named;
  const id = options.model ?? first?.id;
  if (!id) {
    throw invalidFile(
      `${names(parts)}: nothing says which model this is of.`,
      "Add --model, for example --model llava-hf-llava-1.5-7b-hf.",
    );
  }
  const other = options.model === undefined ? named.find((model) => model.id !== first?.id) : undefined;
  if (other) {
    throw invalidFile(
      `The files speak of two models, ${first?.id} and ${other.id}.`,
      "Import each model's files by themselves, or say --model.",
    );
  }
  return { id: slugOf(id), name: first?.name ?? id };
}

/** Number of the block in a hook's name; -1 where it names none. */
const layerOf = (hook: string) => Number(/(\d+)(?!.*\d)/.exec(hook)?.[1] ?? -1);

/** As the files give them; where they give none and the weights are here, by the decoder's rows. */
function neighboursOf(given: DictionaryTables["neighbours"][], part: Weights | undefined, { signal }: ReadOptions) {
  if (given.length || !part) return concatenated(given);
  return decoderNeighbourTable(part.path, part.weights, { signal });
}

function dictionaryOf(hook: string, parts: Part[], model: { id: string }, options: ReadOptions, bases: Map<Part, number>) {
  const weights = parts.filter((part): part is Weights => part.kind === "weights");
  const others = parts.filter((part): part is Tables => part.kind === "tables");
  if (weights.length > 1) {
    throw invalidFile(
      `${names(weights)} are each the weights of a dictionary at ${hook}.`,
      "Import them one at a time, with a --name for each.",
    );
  }
  const made = weights[0]?.weights;
  const { into } = options;
  if (into && made && made.sha256 !== into.sha256) {
    throw invalidFile(
      `${names(weights)}: these are not the weights of ${into.ref} (SHA-256 ${made.sha256.slice(0, 12)}…, not ${into.sha256.slice(0, 12)}…).`,
      "Import them by themselves: other weights are another version.",
    );
  }
  const counts = others.flatMap((part) => part.num_latents ?? []);
  const latents = made?.num_latents ?? into?.num_latents ?? (counts.length ? Math.max(...counts) : null);
  if (latents === null) {
    throw invalidFile(
      `${names(parts)}: nothing says how many features the dictionary has.`,
      "Give its weights too, or add the files to a dictionary that is in the catalogue with --into.",
    );
  }
  const tables = <K extends keyof DictionaryTables>(key: K) =>
    parts.flatMap((part) => (part.tables[key] ? [part.tables[key] as DictionaryTables[K]] : []));
  const activations = parts.flatMap((part) => {
    const table = part.tables.activations;
    const base = bases.get(part) ?? 0;
    if (!table) return [];
    return [base ? mapped(table, (row) => (row.text === null ? row : { ...row, text: row.text + base })) : table];
  });
  const measured = others.find((part) => part.measured)?.measured;
  const name = slugOf(options.name ?? hook);
  return {
    entry: {
      id: name,
      hook,
      layer: made?.layer ?? layerOf(hook),
      // Without weights a dictionary is known by its name alone.
      sha256: made?.sha256 ?? hash(["a dictionary without weights", model.id, name, latents]),
      num_latents: latents,
      width: made?.width ?? null,
      activation: made?.activation ?? "unknown",
      k: made?.k ?? null,
      metrics: { explained_variance: null, fvu: null, l0: null, dead_share: null, loss_recovered: null },
      images: measured?.images ?? 0,
      image_tokens: measured?.image_tokens ?? null,
      text_tokens: measured?.text_tokens ?? null,
    },
    content: hash([model, name, hook, parts.map((part) => [part.format, part.content])]),
    tables: {
      features: mergedFeatures(tables("features"), latents),
      activations: concatenated(activations),
      explanations: joinedExplanations(tables("explanations"), latents),
      scores: concatenated(tables("scores")),
      neighbours: neighboursOf(tables("neighbours"), weights[0], options),
      tokens: concatenated(tables("tokens")),
    },
  };
}

/** One `Source` of all parts: one dictionary for each hook. Throws `file_invalid` where they do not fit together or leave something open. */
export function combine(parts: Part[], asked: ReadOptions): Source {
  const hook = asked.hook === undefined ? undefined : hookOf(asked.hook).hook;
  const options = { ...asked, hook };
  const renamed = hook === asked.hook ? [] : [`The hook ${asked.hook} is ${hook}: what the block puts out, counted from 0.`];
  const model = modelOf(parts, options);
  const groups = grouped(parts, options);
  if (options.into && groups.size > 1) {
    throw invalidFile(
      `The files are of ${groups.size} hooks (${[...groups.keys()].join(", ")}); --into adds to one dictionary.`,
      "Add them one hook at a time.",
    );
  }
  if (options.name !== undefined && groups.size > 1) {
    throw invalidFile(`--name names one dictionary; here are ${groups.size}: ${[...groups.keys()].join(", ")}.`, "Leave --name out.");
  }
  const bases = new Map(parts.map((part, i) => [part, i * textsAPart]));
  const others = parts.filter((part): part is Tables => part.kind === "tables");
  const texts = others.flatMap((part) => {
    const base = bases.get(part) ?? 0;
    return part.texts ? [base ? mapped(part.texts, (row) => ({ ...row, id: row.id + base })) : part.texts] : [];
  });
  return {
    format: [...new Set(parts.map((part) => part.format))].join(" + "),
    found: [...parts.map((part) => part.found), ...renamed],
    model: {
      ...model,
      sha256: null,
      image_size: others.find((part) => part.image_size != null)?.image_size ?? null,
      grid: others.find((part) => part.grid != null)?.grid ?? null,
    },
    attribution: [...new Set(others.flatMap((part) => part.attribution ?? []))].join(" ") || null,
    images: concatenated(others.flatMap((part) => part.images ?? [])),
    texts: concatenated(texts),
    dictionaries: [...groups].map(([hook, group]) => dictionaryOf(hook, group, model, options, bases)),
    async verify() {},
  };
}
