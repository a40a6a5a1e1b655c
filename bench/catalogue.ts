/**
 * The catalogue at full size, measured on both databases (docs/performance.md). Run: npx tsx bench/catalogue.ts [options]
 *
 *   --features N    features of the dictionary (131072)          --small N   the smaller size of the import (32768)
 *   --on a,b        postgres, pglite (both)                      --rounds N  how often each kind of question is asked (30)
 *   --only a,b      import, memory, pages, search, recall, feature, peer, growth, nearest (all)
 *
 * What is generated and imported is kept under .facet/bench (FACET_BENCH_DIR), the server's own data until it ends; FACET_BENCH_DATABASE_URL names a
 * server that is there already. Results: bench/results/catalogue.json, each part beside those of earlier runs.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import { Client } from "pg";
import { locateDictionary } from "@/lib/catalog/dictionaries";
import { dropDictionary } from "@/lib/catalog/drop-dictionary";
import { env } from "@/lib/env";
import { getEmbedder } from "@/lib/search/open-embedder";
import { ensureCopies } from "./catalogue/copies";
import { type Kind, openPlace, openServer, type Place, placeOn, type Server, workFolder } from "./catalogue/databases";
import { measureFeature } from "./catalogue/feature";
import { benchRef, ensureBundle } from "./catalogue/generate";
import type { ImportJob, ImportMeasure } from "./catalogue/import-once";
import { measureNearest } from "./catalogue/nearest";
import { measurePages } from "./catalogue/pages";
import { measurePeer } from "./catalogue/peer";
import { measureRecall, measureSearch } from "./catalogue/search";

const parts = ["import", "memory", "pages", "search", "recall", "feature", "peer", "growth", "nearest"] as const;
type Part = (typeof parts)[number];

const { values: given } = parseArgs({
  options: {
    features: { type: "string", default: "131072" },
    small: { type: "string", default: "32768" },
    on: { type: "string", default: "postgres,pglite" },
    rounds: { type: "string", default: "30" },
    only: { type: "string", default: parts.join(",") },
  },
});
const features = Number(given.features);
const small = Number(given.small);
const rounds = Number(given.rounds);
const only = new Set(given.only.split(","));
const kinds = given.on.split(",") as Kind[];

const resultsFile = path.join(env.root, "bench", "results", "catalogue.json");

/** Adds one part's result to the file, so that a run that is cut short leaves what it has. */
async function keep(kind: Kind | "neither", part: string, result: unknown): Promise<void> {
  const all = existsSync(resultsFile) ? (JSON.parse(readFileSync(resultsFile, "utf8")) as Record<string, Record<string, unknown>>) : {};
  const [load] = loadavg();
  const made = {
    date: new Date().toISOString().slice(0, 16),
    machine: `${availableParallelism()} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`,
    loadAverage: Number(load?.toFixed(1)),
    features,
  };
  all[kind] = { ...all[kind], [part]: { ...made, result } };
  await mkdir(path.dirname(resultsFile), { recursive: true });
  await writeFile(resultsFile, `${JSON.stringify(all, null, 2)}\n`);
  console.log(`${kind} ${part} (load ${made.loadAverage}):\n${JSON.stringify(result)}`);
}

const bundleOf = (count: number) => path.join(workFolder, `bundle-${count}`);

async function importInto(place: Place, bundle: string, embed: boolean, flags: readonly string[] = []): Promise<ImportMeasure> {
  const job: ImportJob = { place, bundle, embed };
  const file = path.join(env.root, "bench", "catalogue", "import-once.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "--import", "tsx", file, JSON.stringify(job)], {
    cwd: env.root,
  });
  return JSON.parse(stdout.trim().split("\n").at(-1) as string) as ImportMeasure;
}

async function forget(place: Place): Promise<void> {
  if (place.kind === "pglite") return rm(place.dataDir, { recursive: true, force: true });
  const url = new URL(place.databaseUrl);
  const name = url.pathname.slice(1);
  url.pathname = "/postgres";
  const client = new Client({ connectionString: url.href });
  await client.connect();
  await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await client.end();
}

/** Whether the place holds the dictionary with its vectors. */
async function isFilled(place: Place): Promise<boolean> {
  const db = await openPlace(place);
  try {
    const rows = await db.rows("SELECT FROM dictionary WHERE ref = $1 AND embedder IS NOT NULL", [benchRef]);
    return rows.length > 0;
  } finally {
    await db.close();
  }
}

async function measureOn(kind: Kind, server: Server | null): Promise<void> {
  const full = `${kind}-${features}`;
  const place = await placeOn(kind, full, server);
  const wants = (part: Part) => only.has(part);
  if (wants("memory")) await measureMemory(kind, server);
  if (only.size === 1 && wants("memory")) return;
  await ensureBundle(bundleOf(features), features);
  if (wants("import")) {
    await ensureBundle(bundleOf(small), small);
    const name = `${kind}-${small}-small`;
    await forget(await placeOn(kind, name, server));
    const smallPlace = await placeOn(kind, name, server);
    await keep(kind, `import ${small}`, await importInto(smallPlace, bundleOf(small), true));
    await forget(smallPlace);
    await forget(place);
    await keep(kind, `import ${features}`, await importInto(await placeOn(kind, full, server), bundleOf(features), true));
  } else if (!(await isFilled(place))) await importInto(place, bundleOf(features), true);
  await measureOpen(kind, place, wants);
  if (wants("growth")) await measureGrowth(kind, server);
}

/** A heap this small (MiB) leaves the collector no slack: what is left of a difference between two sizes is what the import holds. */
const smallHeap = ["--max-old-space-size=100", "--max-semi-space-size=8"];

/** Most memory of an import at both sizes, in a small heap. */
async function measureMemory(kind: Kind, server: Server | null): Promise<void> {
  const peaks: { features: number; peakMiB: number }[] = [];
  for (const size of [small, features]) {
    await ensureBundle(bundleOf(size), size);
    const name = `${kind}-${size}-memory`;
    await forget(await placeOn(kind, name, server));
    const place = await placeOn(kind, name, server);
    const { peakMiB } = await importInto(place, bundleOf(size), false, smallHeap);
    peaks.push({ features: size, peakMiB });
    await forget(place);
  }
  await keep(kind, "memory", { flags: smallHeap, peaks });
}

async function measureOpen(kind: Kind, place: Place, wants: (part: Part) => boolean): Promise<void> {
  const embedder = await getEmbedder();
  if (!embedder) throw new Error("models/minilm is not there.");
  const db = await openPlace(place);
  try {
    const { id } = await locateDictionary(db, benchRef);
    if (wants("pages")) await keep(kind, "pages", await measurePages(db, benchRef, id, features, Math.ceil(rounds / 4)));
    if (wants("search")) await keep(kind, "search", await measureSearch(db, benchRef, features, rounds));
    if (wants("recall")) await keep(kind, "recall", await measureRecall(db, id, embedder, rounds));
    if (wants("feature")) await keep(kind, "feature", await measureFeature(db, benchRef, features, 10 * rounds));
    if (wants("peer") && kind === "postgres") await keep(kind, "peer", await measurePeer(db, benchRef, id, features, embedder, rounds));
  } finally {
    await db.close();
  }
}

async function dropCopies(place: Place): Promise<void> {
  const db = await openPlace(place);
  try {
    for (const { ref } of await db.rows<{ ref: string }>("SELECT ref FROM dictionary WHERE ref <> $1", [benchRef]))
      await dropDictionary(db, ref);
  } finally {
    await db.close();
  }
}

/** The same questions of one dictionary, alone and beside three as large. The embedded database is asked at the smaller size. */
async function measureGrowth(kind: Kind, server: Server | null): Promise<void> {
  const size = kind === "postgres" ? features : small;
  await ensureBundle(bundleOf(size), size);
  const more = path.join(workFolder, `bundle-${size}-more`);
  await ensureCopies(bundleOf(size), more, 3);
  const place = await placeOn(kind, `${kind}-${size}`, server);
  if (!(await isFilled(place))) await importInto(place, bundleOf(size), true);
  await dropCopies(place);
  const ask = async () => {
    const db = await openPlace(place);
    try {
      const { id } = await locateDictionary(db, benchRef);
      // What a server does by itself in the minutes after an import, and would do while it is asked.
      if (kind === "postgres") await db.rows("VACUUM ANALYZE");
      const [{ bytes } = { bytes: 0 }] = await db.rows<{ bytes: number }>("SELECT pg_database_size(current_database())::float8 AS bytes");
      const pages = (await measurePages(db, benchRef, id, size, Math.ceil(rounds / 8))).all;
      const search = (await measureSearch(db, benchRef, size, Math.ceil(rounds / 2))).all;
      return {
        mebibytes: Math.round(bytes / 2 ** 20),
        pages,
        search,
        feature: (await measureFeature(db, benchRef, size, 4 * rounds)).first,
      };
    } finally {
      await db.close();
    }
  };
  const one = await ask();
  await importInto(place, more, true);
  const four = await ask();
  const ratio = (key: "pages" | "search" | "feature") => Number((four[key].p50 / one[key].p50).toFixed(2));
  await keep(kind, "growth", {
    featuresEach: size,
    one,
    four,
    ratioP50: { pages: ratio("pages"), search: ratio("search"), feature: ratio("feature") },
  });
  await dropCopies(place);
}

const needsServer = kinds.includes("postgres");
const server = needsServer ? await openServer() : null;
try {
  if (only.has("nearest")) await keep("neither", "nearest", await measureNearest(16_384, 1_024));
  for (const kind of kinds) await measureOn(kind, server);
} finally {
  await server?.stop();
}
