/**
 * How long it takes to find the catalogue's pictures on which features fire in a painted region (docs/performance.md): the demo's bundle in both
 * databases, seeded questions. Run: npx tsx bench/region.ts [questions]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { mostSought } from "@/lib/api/region-pictures";
import { type Database, openDatabase } from "@/lib/catalog/db";
import { locateDictionary } from "@/lib/catalog/dictionaries";
import { importBundle } from "@/lib/catalog/import-bundle";
import { type RegionSearch, regionExamplesSql, regionPictures } from "@/lib/catalog/region-pictures";
import { createRandom } from "@/lib/core/random";
import { emptyRegion, paintShape } from "@/lib/core/region";
import { env } from "@/lib/env";
import { openServer } from "./catalogue/databases";
import { summarise, timed } from "./catalogue/timing";

const questions = Number(process.argv[2] ?? 300);
const ref = "facet-emoji/model.layers.1";

/** Features that have examples, so many a question, and a brush stroke of three to nine cells' width somewhere. */
function ask(random: () => number, features: number[], count: number): RegionSearch {
  const spot = () => ({ x: 12 * random(), y: 12 * random() });
  const region = paintShape(emptyRegion(12, 12), { kind: "brush", path: [spot(), spot()], radius: 1.5 + 3 * random() });
  const sought = Array.from({ length: count }, () => features[Math.floor(random() * features.length)] as number);
  return { dictionary: ref, features: [...new Set(sought)], region, limit: 12 };
}

async function measure(db: Database) {
  const { id } = await locateDictionary(db, ref);
  const rows = await db.rows<{ index: number }>("SELECT index FROM feature WHERE dictionary_id = $1 AND NOT dead ORDER BY index", [id]);
  const features = rows.map(({ index }) => index);
  const random = createRandom(7);
  const result: Record<string, unknown> = {};
  for (const count of [5, mostSought]) {
    const ms: number[] = [];
    let found = 0;
    for (let i = 0; i < questions; i++) {
      const [answer, took] = await timed(() => regionPictures(db, ask(random, features, count)));
      ms.push(took);
      found += answer.total;
    }
    result[`${count} features`] = { ms: summarise(ms), picturesFound: Math.round(found / questions) };
  }
  const plan = await db.rows<{ "QUERY PLAN": string }>(`EXPLAIN ${regionExamplesSql}`, [id, features.slice(0, 5), null]);
  result.index = plan.map((line) => line["QUERY PLAN"]).find((line) => line.includes("Index")) ?? "none";
  return result;
}

const folder = await mkdtemp(path.join(tmpdir(), "facet-region-"));
const server = await openServer();
const results: Record<string, unknown> = { date: new Date().toISOString().slice(0, 16), questions };
try {
  for (const kind of ["pglite", "postgres"] as const) {
    const imagesDir = path.join(folder, "images");
    const db = await openDatabase(
      kind === "pglite"
        ? { dataDir: path.join(folder, "pglite"), imagesDir, migrate: "apply" }
        : { databaseUrl: server.url, imagesDir, migrate: "apply" },
    );
    await importBundle(db, path.join(env.root, "demo", "bundle"));
    results[kind] = await measure(db);
    await db.close();
  }
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
await writeFile(path.join(env.root, "bench", "results", "region.json"), `${JSON.stringify(results, null, 2)}\n`);
console.log(JSON.stringify(results, null, 2));
