/**
 * The whole road with the embedded model: the example pipeline at a reduced size through `facet-worker run`, and `facet import` of what it publishes
 * into a fresh catalogue. What the catalogue says is held against the bundle, row by row.
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Database, openDatabase } from "@/lib/catalog/db";
import { listDictionaries } from "@/lib/catalog/dictionaries";
import { findFeature } from "@/lib/catalog/feature-detail";
import {
  activationColumns,
  explanationColumns,
  featureColumns,
  imageColumns,
  neighbourColumns,
  scoreColumns,
  textColumns,
  tokenColumns,
} from "@/lib/formats/bundle";
import { readManifest } from "@/lib/formats/manifest";
import { type Columns, openTable, type Row } from "@/lib/formats/parquet";

const root = process.cwd();
const hook = "model.layers.1";
const ref = `facet-emoji-trained/${hook}`;
/** In the place of what the example says, so that it takes a minute. */
const reduced = {
  run: '"run"',
  limit: "96",
  latents: "128",
  k: "16",
  steps: "40",
  batch: "512",
  warmup: "5",
  dead_after: "20_000",
  buffer: "4096",
  held_out: "16",
};
const explained = [0, 1, 2, 3, 4, 5];

let folder: string;
let bundle: string;
let endpoint: Server;
let db: Database;
let said = "";

function run(command: string, args: string[], data = path.join(folder, "data")): Promise<{ code: number | null; text: string }> {
  // Threads of several processes on few cores wait for each other longer than they work.
  const env = { ...process.env, OMP_NUM_THREADS: "1", FACET_DATA_DIR: data, DATABASE_URL: "" };
  const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, text })));
}

const worker = (...args: string[]) => run(path.join(root, ".venv", "bin", "python"), ["-m", "facet_worker", ...args]);
const facetIn = (data: string | undefined, ...args: string[]) =>
  run(process.execPath, ["--import", "tsx", path.join(root, "cli", "facet.ts"), ...args], data);
const facet = (...args: string[]) => facetIn(undefined, ...args);

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const close = (value: number | null) => (value === null ? null : expect.closeTo(value, 5));

/** Every row of a bundle's table. */
async function rowsOf<C extends Columns>(name: string, columns: C): Promise<Row<C>[]> {
  const table = await openTable(path.join(bundle, name), columns);
  const rows: Row<C>[] = [];
  for await (const batch of table.batches()) rows.push(...batch);
  return rows;
}

/** An endpoint that sees a dog in everything, and says so in the form that it is asked for. */
function answering(): Promise<Server> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk));
    request.on("end", () => {
      const content = body.includes("[LABEL]") ? "[LABEL]: dog\n[CONCEPT]: object" : "Let me see. [EXPLANATION]: A dog somewhere.";
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({
          choices: [{ message: { role: "assistant", content }, finish_reason: "stop" }],
          usage: { prompt_tokens: 9, completion_tokens: 9 },
        }),
      );
    });
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** The example's file with the sizes above, an endpoint, and a few features to explain. */
async function reducedPipeline(): Promise<string> {
  let text = await readFile(path.join(root, "worker", "examples", "pipeline.toml"), "utf8");
  for (const [key, value] of Object.entries(reduced)) {
    const line = new RegExp(`^${key} = .*$`, "m");
    expect(text).toMatch(line);
    text = text.replace(line, `${key} = ${value}`);
  }
  const { port } = endpoint.address() as AddressInfo;
  // A dictionary of some dozen steps has few features that this model names twice alike; an endpoint explains and labels every one.
  const [before, after] = [text.indexOf("[explain]"), text.indexOf("[publish]")];
  expect(text.slice(before, after)).toContain('looks = "studied"');
  const steps = `[explain]
explainers = ["causal", "top-images"]
features = ${JSON.stringify(explained)}
question = "what do you see ?"
answer_tokens = 12
endpoint = { url = "http://127.0.0.1:${port}/v1", model = "sees-dogs" }

[score]
metrics = ["consistency", "steer"]
features = ${JSON.stringify(explained.slice(0, 3))}
judge = "studied"
trials = 2
answer_tokens = 12

`;
  text = `${text.slice(0, before)}${steps}${text.slice(after)}`
    .replaceAll('"../../', `"${root}/`)
    .replace("[cache]", "[cache]\nshard = 40\npaper_layout = true");
  const file = path.join(folder, "pipeline.toml");
  await writeFile(file, text);
  return file;
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-road-"));
  endpoint = await answering();
  const file = await reducedPipeline();
  const first = await worker("run", file);
  expect(first.code, first.text).toBe(0);
  said = first.text;
  bundle = path.join(folder, "run", "publish", "bundle");
  const imported = await facet("import", bundle);
  expect(imported.code, imported.text).toBe(0);
  expect(imported.text).toContain(`${ref} (`);
  db = await openDatabase({ dataDir: path.join(folder, "data") });
}, 600_000);
afterAll(async () => {
  await db?.close();
  endpoint?.close();
  await rm(folder, { recursive: true, force: true });
});

it("tells each step's end, and its dictionary with what training measured of it", async () => {
  for (const step of ["train", "cache", "explain", "score", "publish"]) expect(said).toContain(`${step}: done`);
  const train = JSON.parse(await readFile(path.join(folder, "run", "train", "manifest.json"), "utf8"));
  const { dictionaries } = JSON.parse(await readFile(path.join(bundle, "manifest.json"), "utf8"));
  const measured = train.report[hook];
  expect(dictionaries[0].held_out).toEqual(measured);
  expect(measured.explained_variance).toBeGreaterThan(0.2);
  expect(measured.explained_variance + measured.fvu).toBeCloseTo(1, 6);
  const [dictionary] = await listDictionaries(db);
  expect(dictionary).toMatchObject({
    id: hook,
    hook,
    numLatents: 128,
    k: 16,
    model: { id: "facet-emoji-trained", name: "Facet Emoji LLaVA 6M, trained here" },
    metrics: { explainedVariance: measured.explained_variance, fvu: measured.fvu, lossRecovered: measured.loss_recovered, l0: 16 },
  });
  expect(dictionary?.sha256).toBe(dictionaries[0].sha256);
});

it("has every row of the bundle in the catalogue", async () => {
  const manifest = await readManifest(bundle);
  const counts = {
    features: "(SELECT count(*)::int FROM feature)",
    activations: "(SELECT count(*)::int FROM activation)",
    explanations: "(SELECT count(*)::int FROM explanation)",
    scores: "(SELECT count(*)::int FROM score)",
    // Lists, one a feature and kind.
    neighbours: "(SELECT sum(cardinality(neighbours))::int FROM neighbour)",
    tokens: "(SELECT sum(cardinality(tokens))::int FROM feature_token)",
    image: "(SELECT count(*)::int FROM image)",
    text_sequence: "(SELECT count(*)::int FROM text_sequence)",
  };
  const columns = Object.entries(counts).map(([name, sql]) => `${sql} AS ${name}`);
  const [counted] = await db.rows<Record<string, number>>(`SELECT ${columns.join(", ")}`);
  for (const name of ["features", "activations", "explanations", "scores", "neighbours", "tokens"]) {
    expect(counted?.[name], name).toBe(manifest.files[`${hook}/${name}.parquet`]?.rows);
    expect(counted?.[name], name).toBeGreaterThan(0);
  }
  expect(counted?.image).toBe(manifest.files["images.parquet"]?.rows);
  expect(counted?.text_sequence).toBe(manifest.files["texts.parquet"]?.rows);
  expect(counted?.text_sequence).toBeGreaterThan(0);
});

it("says of every feature what the bundle says", async () => {
  const features = await rowsOf(`${hook}/features.parquet`, featureColumns);
  const activations = await rowsOf(`${hook}/activations.parquet`, activationColumns);
  const explanations = await rowsOf(`${hook}/explanations.parquet`, explanationColumns);
  const scores = await rowsOf(`${hook}/scores.parquet`, scoreColumns);
  const neighbours = await rowsOf(`${hook}/neighbours.parquet`, neighbourColumns);
  const tokens = await rowsOf(`${hook}/tokens.parquet`, tokenColumns);
  const texts = new Map((await rowsOf("texts.parquet", textColumns)).map((row) => [row.id, row]));
  expect(features.filter((row) => row.images ?? 0).length).toBeGreaterThan(40);
  for (const row of features) {
    const detail = await findFeature(db, ref, row.index);
    const { feature } = detail;
    expect([feature.density, feature.textDensity, feature.imageShare]).toEqual([row.density, row.text_density, row.image_share].map(close));
    expect([feature.maxActivation, feature.dead, feature.images]).toEqual([close(row.max_activation), row.dead, row.images]);
    const own = activations.filter(({ index }) => index === row.index);
    const examples = own
      .filter(({ band }) => band !== "text")
      .map((one) => [one.band, one.rank, one.image, `${one.rows}×${one.cols}`, base64(one.positions), base64(one.values)].join());
    const shown = Object.entries(detail.examples).flatMap(([band, list]) =>
      list.map(({ image, rows, cols, map }, rank) => [band, rank, image, `${rows}×${cols}`, map.p, map.v].join()),
    );
    expect(shown.sort()).toEqual(examples.sort());
    const words = own.filter(({ band }) => band === "text").sort((a, b) => a.rank - b.rank);
    expect(detail.texts.map(({ tokens, image, map }) => [tokens, image, map.p, map.v])).toEqual(
      words.map(({ text, positions, values }) => {
        const { tokens, image } = texts.get(text as number) as Row<typeof textColumns>;
        return [tokens, image, base64(positions), base64(values)];
      }),
    );
    const written = explanations.filter(({ index }) => index === row.index);
    expect(detail.explanations.map((one) => [one.method, one.text, one.label, one.failure, one.preferred]).sort()).toEqual(
      written.map((one) => [one.method, one.text, one.label, one.failure, one.preferred]).sort(),
    );
    expect(
      detail.explanations
        .flatMap((one) => one.scores.map((score) => [one.method, score.metric, score.value, score.n, score.failure]))
        .sort(),
    ).toEqual(
      scores
        .filter(({ index }) => index === row.index)
        .map((one) => [one.explanation, one.metric, one.value, one.n, one.failure])
        .sort(),
    );
    const kinds = (kind: string) => neighbours.filter((one) => one.index === row.index && one.kind === kind).map((one) => one.neighbour);
    for (const kind of ["decoder", "coactive"] as const)
      expect(
        detail.neighbours
          .filter((one) => one.kind === kind)
          .map((one) => one.index)
          .sort(),
      ).toEqual(kinds(kind).sort());
    for (const kind of ["writes", "suppresses", "reads"] as const) {
      const listed = tokens.filter((one) => one.index === row.index && one.kind === kind).sort((one, other) => one.rank - other.rank);
      expect(detail.tokens[kind]).toEqual(listed.map(({ token, value }) => ({ token, value: close(value) })));
    }
  }
});

it("explains by the model itself and by an endpoint, with labels and scores of both", async () => {
  const methods = new Set<string>();
  for (const index of explained) {
    const { explanations } = await findFeature(db, ref, index);
    for (const { method, text, label } of explanations) {
      if (text === null) continue;
      methods.add(method);
      expect(label).toBe("dog");
    }
  }
  expect([...methods].sort()).toEqual(["causal", "top-images"]);
  const scored = await rowsOf(`${hook}/scores.parquet`, scoreColumns);
  expect(new Set(scored.map(({ metric }) => metric))).toEqual(new Set(["consistency", "steer"]));
});

it("stores every activation as the paper's tools do, from which an import finds the same top pictures", async () => {
  const pictures = path.join(folder, "pictures");
  await mkdir(pictures);
  const set = await openTable(path.join(root, "demo", "bundle", "images.parquet"), imageColumns);
  let number = 0;
  for await (const batch of set.batches())
    for (const { bytes } of batch.slice(0, Number(reduced.limit) - number)) await writeFile(path.join(pictures, `${number++}.webp`), bytes);
  const parts = [path.join("train", "dictionaries", hook), path.join("cache", "activations")].map((part) => path.join(folder, "run", part));
  const data = path.join(folder, "paper");
  const read = await facetIn(data, "import", ...parts, pictures, "--model", "paper-layout", "--hook", hook, "--grid", "12x12");
  expect(read.code, read.text).toBe(0);
  const other = await openDatabase({ dataDir: data });
  let compared = 0;
  try {
    for (const { index } of (await rowsOf(`${hook}/features.parquet`, featureColumns)).filter((row) => row.images)) {
      const [own, paper] = await Promise.all([findFeature(db, ref, index), findFeature(other, `paper-layout/${hook}`, index)]);
      expect([paper.feature.density, paper.feature.images]).toEqual([close(own.feature.density), own.feature.images]);
      const maps = ({ examples }: typeof own) => (examples.top ?? []).map(({ map }) => `${map.p} ${map.v}`).sort();
      expect(maps(paper)).toEqual(maps(own));
      compared += maps(own).length;
    }
  } finally {
    await other.close();
  }
  expect(compared).toBeGreaterThan(200);
}, 300_000);

it("does nothing a second time", async () => {
  const before = await readFile(path.join(folder, "run", "publish", "manifest.json"), "utf8");
  const again = await worker("run", path.join(folder, "pipeline.toml"));
  expect(again.code, again.text).toBe(0);
  for (const step of ["train", "cache", "publish"]) expect(again.text).toContain(`${step}: was done already`);
  expect(await readFile(path.join(folder, "run", "publish", "manifest.json"), "utf8")).toBe(before);
  expect((await readdir(path.join(folder, "run", "publish"))).sort()).toEqual(["bundle", "manifest.json"]);
}, 300_000);
