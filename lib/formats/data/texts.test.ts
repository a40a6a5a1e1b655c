/** Explanations, scores and exports that other tools wrote, against what their packages read back (worker/make_fixtures/data.py). */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { decodeBytes, toDense } from "@/lib/core/sparse-map";
import type { Part } from "../source";
import { delphiReader } from "./delphi-texts";
import { labelOf, readConcept, readExplanation, readScore } from "./failures";
import { entriesOf, jsonEntries } from "./json-entries";
import { neuronpediaReader } from "./neuronpedia";
import { rebin } from "./neuronpedia-features";
import { paperReader } from "./paper";
import { writeInto } from "./test-files";
import { rowsOf } from "./test-rows";

const fixtures = path.join(import.meta.dirname, "fixtures");
type TablesPart = Extract<Part, { kind: "tables" }>;

let expected: {
  delphi: { explanations: Record<string, string>; scores: Record<string, { accuracy: number; n: number }> };
  neuronpedia: {
    model: string;
    texts: number;
    features: Record<
      string,
      { max: number; density: number; bars: number; explanation?: string | null; examples: { tokens: string[]; values: number[] }[] }
    >;
  };
};
let folder: string;
beforeAll(async () => {
  expected = JSON.parse(await readFile(path.join(fixtures, "expected.json"), "utf8"));
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-data-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const write = (name: string, content: string | Uint8Array) => writeInto(folder, name, content);
const one = (parts: Part[]) => {
  expect(parts).toHaveLength(1);
  return parts[0] as TablesPart;
};

describe("what tools write where something failed", () => {
  it("is a failure and never a text or a number", () => {
    for (const said of [
      null,
      undefined,
      "",
      "  ",
      7,
      "Unable to produce descriptions",
      "Response x. Explanation could not be parsed.",
      "unable to produce description.",
    ]) {
      expect(readExplanation(said)).toMatchObject({ text: null, failure: expect.stringMatching(/\w\.$/) });
    }
    expect(readExplanation(" a lemon ")).toEqual({ text: "a lemon", failure: null });
    for (const score of [-1, "-1", Number.NaN, Number.POSITIVE_INFINITY, null, "none", {}]) expect(readScore(score)).toBeNull();
    expect([readScore(0), readScore("0.5"), readScore(1)]).toEqual([0, 0.5, 1]);
  });

  it("labels are short, whole words, and never cut a character in two", () => {
    expect(labelOf("a  lemon\n")).toBe("a lemon");
    const long = labelOf(`${"word ".repeat(60)}`);
    expect(long.length).toBeLessThanOrEqual(80);
    expect(long).toMatch(/word…$/);
    expect(labelOf("😀".repeat(200))).toMatch(/^(?:😀)+…$/u);
    expect(labelOf("Text about dogs. And then a great deal more about all that dogs may ever do in a long and winding life.")).toBe(
      "Text about dogs",
    );
  });

  it("concepts are read as LLMs write them", () => {
    expect(["Object.", "color", "textures", "nonsense", 3].map(readConcept)).toEqual(["object", "colour", "texture", null, null]);
  });
});

describe("JSON as a stream of entries", () => {
  it("gives every key, also one that comes twice, whatever the pieces", async () => {
    const text = '\ufeff{"a": {"x": [1, "]}"]}, "b\\"": "\\\\", "a": NaN, "c": [], "d": "é"}';
    const file = await write("x.json", text);
    const found: [string | null, string][] = [];
    for await (const { key, raw } of jsonEntries(file)) found.push([key, raw]);
    expect(found).toEqual([
      ["a", '{"x": [1, "]}"]}'],
      ['b"', '"\\\\"'],
      ["a", "NaN"],
      ["c", "[]"],
      ["d", '"é"'],
    ]);
    expect([...entriesOf("f", "[1, [2,3], {}]")].map((entry) => entry.raw)).toEqual(["1", "[2,3]", "{}"]);
    expect([...entriesOf("f", " [ ] ")]).toEqual([]);
  });

  it("refuses what is not whole", async () => {
    for (const text of ["", "   ", '{"a": 1', '["a", ', '{"a" 1}', "[1]]", "null", '{"a": }', "{1: 2}", '["a"}']) {
      const file = await write("x.json", text);
      const read = async () => {
        for await (const _ of jsonEntries(file));
      };
      await expect(read(), text).rejects.toMatchObject({ code: "file_invalid", message: expect.stringContaining("x.json") });
    }
    await expect(async () => {
      for await (const _ of jsonEntries(await write("bad.json", Buffer.from([0x5b, 0x22, 0xff, 0xfe, 0x22, 0x5d]))));
    }).rejects.toMatchObject({ message: expect.stringContaining("UTF-8") });
  });
});

describe("the paper's JSON files", () => {
  const at = path.join(fixtures, "paper/explanations");

  it("become one explanation a feature, with label, concept and scores", async () => {
    expect((await paperReader.recognise(at))?.found).toMatch(/explanations.*IoU|IoU.*explanations/);
    const part = one(await paperReader.read(at, {}));
    expect(part).toMatchObject({ hook: "model.layers.24", num_latents: null });
    const rows = new Map((await rowsOf(part.tables.explanations)).map((row) => [row.index, row]));
    expect(rows.size).toBe(7);
    expect(rows.get(0)).toMatchObject({
      text: "The images all show a lemon.\nYellow, round, shiny.",
      label: "lemon",
      concept: "object",
      failure: null,
      preferred: true,
    });
    expect(rows.get(5)).toMatchObject({ text: "naïve café 漢字 😀", label: "café", concept: "colour" });
    for (const index of [1, 2, 3, 6])
      expect(rows.get(index)).toMatchObject({ text: null, label: null, concept: null, preferred: false, failure: expect.any(String) });
    expect(rows.get(4)?.text).toHaveLength(100_000);
    expect(rows.get(4)?.label?.length).toBeLessThanOrEqual(80);
    const scores = await rowsOf(part.tables.scores);
    const of = (index: number, metric: string) => scores.find((score) => score.index === index && score.metric === metric);
    // Of five pictures one failed and one was NaN: they are no numbers.
    expect(of(0, "iou")).toMatchObject({ value: 0.5, n: 3, failure: null, method: expect.stringContaining("2 of 5 could not be scored") });
    expect(of(1, "iou")).toMatchObject({ value: null, n: 0, failure: "There was no description to score." });
    expect(of(5, "iou")).toMatchObject({ value: null, n: 0, failure: "None of its 2 pictures could be scored." });
    expect(of(0, "clip")).toMatchObject({ value: 24, n: 2 });
    expect([of(0, "consistency")?.value, of(5, "consistency")?.value, of(1, "consistency")?.value]).toEqual([1, 0, null]);
    expect(of(1, "consistency")?.failure).toMatch(/no verdict/);
    for (const score of scores) expect(rows.has(score.index) && score.explanation === "top-images").toBe(true);
  });

  it("are joined wherever they lie, and the scored label stands in for a text that is not there", async () => {
    const [iou, refined] = [path.join(at, "iou.json"), path.join(at, "refined.json")];
    const together = { paths: [iou, refined] };
    expect(await paperReader.read(refined, together)).toEqual([]);
    const rows = await rowsOf(one(await paperReader.read(iou, together)).tables.explanations);
    expect(rows.find((row) => row.index === 0)).toMatchObject({ text: "lemon", label: "lemon" });
    const alone = await rowsOf(one(await paperReader.read(iou, {})).tables.explanations);
    expect(alone.map((row) => [row.index, row.text])).toEqual([
      [0, "lemon"],
      [1, null],
      [5, "café"],
    ]);
  });

  it("a feature twice with the same text is one, with two texts is refused by its name", async () => {
    const key = "model.layers.3_feature9";
    const same = await write("same.json", `\ufeff[{"${key}": "a"}, {"${key}": "a"}]`);
    expect(await rowsOf(one(await paperReader.read(same, {})).tables.explanations)).toHaveLength(1);
    for (const text of [`[{"${key}": "a"}, {"${key}": "b"}]`, `[{"${key}": "a", "${key}": "b"}]`, `{"${key}": "a", "${key}": "b"}`]) {
      const file = await write("twice.json", text);
      await expect(paperReader.read(file, {})).rejects.toMatchObject({
        code: "file_invalid",
        message: `${file}: "${key}" comes twice, and says two things.`,
        fix: "Keep one of the two.",
      });
    }
  });

  it("cut short or with a key that is no feature are refused, other JSON is not recognised", async () => {
    const cut = await write("cut.json", '[{"model.layers.3_feature9": "a"}, {"model.la');
    await expect(paperReader.read(cut, {})).rejects.toMatchObject({ message: expect.stringContaining("cut short") });
    const odd = await write("odd.json", '[{"model.layers.3_feature9": "a"}, {"lemon": "b"}]');
    await expect(paperReader.read(odd, {})).rejects.toMatchObject({ message: expect.stringContaining('"lemon"') });
    for (const text of ['{"k": 256}', "[1, 2]", "{}", "[]", "", '"x"'])
      expect(await paperReader.recognise(await write("other.json", text)), text).toBeNull();
  });
});

describe("delphi's explanations and scores", () => {
  it("are the texts that its parser wrote and the accuracy that its own analysis finds", async () => {
    const at = path.join(fixtures, "delphi");
    expect((await delphiReader.recognise(at))?.found).toContain("detection scores");
    const parts = await delphiReader.read(at, {});
    expect(parts.map((part) => part.format)).toEqual(["delphi cache", "delphi results"]);
    const part = parts[1] as TablesPart;
    const rows = new Map((await rowsOf(part.tables.explanations)).map((row) => [row.index, row]));
    for (const [latent, text] of Object.entries(expected.delphi.explanations)) {
      const row = rows.get(Number(latent));
      if (text === "" || text === "Explanation could not be parsed.")
        expect(row).toMatchObject({ text: null, failure: expect.any(String) });
      else expect(row?.text).toBe(text.trim());
    }
    expect(rows.get(3)?.text?.length).toBeGreaterThan(100_000);
    const scores = await rowsOf(part.tables.scores);
    expect(scores).toHaveLength(Object.keys(expected.delphi.scores).length);
    for (const score of scores) {
      const wanted = expected.delphi.scores[`${score.metric} ${score.index}`];
      expect(score.value).toBeCloseTo(wanted?.accuracy as number, 12);
      expect(score.n).toBe(wanted?.n);
    }
    expect(scores.find((score) => score.index === 4)?.method).toContain("3 answers");
  });

  it("are refused when a file is empty or cut short, naming it; answers that nobody could read are a failure", async () => {
    const file = await write("explanations/layers.0_latent3.txt", "");
    await expect(delphiReader.read(folder, {})).rejects.toMatchObject({
      code: "file_invalid",
      message: expect.stringContaining("layers.0_latent3.txt"),
    });
    await writeFile(file, '"cut sho');
    await expect(delphiReader.read(folder, {})).rejects.toMatchObject({ message: expect.stringContaining("layers.0_latent3.txt") });
    await writeFile(file, "null");
    await write("scores/fuzz/layers.0_latent4.txt", '[{"activating": true, "correct": null, "prediction": null}]');
    const part = one(await delphiReader.read(folder, {}));
    expect(await rowsOf(part.tables.explanations)).toMatchObject([
      { index: 3, text: null, failure: expect.stringContaining("null") },
      { index: 4, text: null, failure: expect.stringContaining("was not given") },
    ]);
    expect(await rowsOf(part.tables.scores)).toMatchObject([
      { index: 4, value: null, n: 0, failure: "No answer of the judge could be read." },
    ]);
  });
});

describe("Neuronpedia's export", () => {
  const at = path.join(fixtures, "neuronpedia");
  it("gives what the neuronpedia package reads, each text once", async () => {
    expect((await neuronpediaReader.recognise(at))?.found).toContain("features, explanations, activations");
    const part = one(await neuronpediaReader.read(at, {}));
    // What goes into block 6 comes out of block 5.
    expect(part).toMatchObject({ hook: "model.layers.5", num_latents: 12, model: { id: "gpt2-small" } });
    const features = new Map((await rowsOf(part.tables.features)).map((row) => [row.index, row]));
    const texts = await rowsOf(part.texts);
    expect(texts).toHaveLength(expected.neuronpedia.texts);
    const tokensOf = new Map(texts.map((text) => [text.id, text.tokens]));
    const activations = await rowsOf(part.tables.activations);
    const explanations = new Map((await rowsOf(part.tables.explanations)).map((row) => [row.index, row]));
    for (const [key, wanted] of Object.entries(expected.neuronpedia.features)) {
      const index = Number(key);
      const row = features.get(index);
      expect(row).toMatchObject({
        text_density: wanted.density,
        max_activation: wanted.max,
        density: null,
        images: null,
        dead: index === 11,
      });
      expect(row?.hist_counts?.reduce((sum, count) => sum + count, 0) ?? 0).toBe(wanted.max > 0 ? wanted.bars : 0);
      const mine = activations.filter((example) => example.index === index);
      expect(mine.map((example) => example.band)).toEqual(mine.map(() => "text"));
      expect(mine).toHaveLength(wanted.examples.length);
      for (const [i, example] of mine.entries()) {
        const one = wanted.examples[i];
        expect(tokensOf.get(example.text as number)).toEqual(one?.tokens);
        const dense = toDense(decodeBytes(example.positions, example.values), 1, example.cols);
        for (const [j, value] of (one?.values ?? []).entries())
          expect(Math.abs((dense[j] as number) - value)).toBeLessThanOrEqual(value * 2 ** -11);
      }
      const said = wanted.explanation;
      if (said === undefined) expect(explanations.has(index)).toBe(false);
      else if (!said || said.startsWith("Unable"))
        expect(explanations.get(index)).toMatchObject({ text: null, failure: expect.any(String) });
      else
        expect(explanations.get(index)).toMatchObject({
          text: said,
          label: said,
          author: "gpt-4o-mini",
          method: "oai_token-act-pair",
          preferred: true,
        });
    }
    const tokens = (await rowsOf(part.tables.tokens)).filter((row) => row.index === 0);
    expect(tokens.map((row) => [row.kind, row.rank, row.token, row.value])).toEqual([
      ["writes", 0, " cat", 1.5],
      ["writes", 1, " dog", 1.25],
      ["writes", 2, " 漢", 0.5],
      ["suppresses", 0, " no", -1],
    ]);
  });

  it("keeps the twenty strongest of a feature, says how many it left, and refuses what cannot be shown", async () => {
    const line = (values: unknown[], extra: object = {}) =>
      JSON.stringify({ modelId: "m", layer: "3-res", index: "1", tokens: values.map((_, i) => ` t${i}`), values, ...extra });
    const many = await write("a.jsonl", `\ufeff${Array.from({ length: 30 }, (_, i) => line([i + 1, 0])).join("\n")}\n\n`);
    const part = one(await neuronpediaReader.read(many, {}));
    expect((await rowsOf(part.tables.activations)).map((row) => row.peak)).toEqual(Array.from({ length: 20 }, (_, i) => 30 - i));
    expect(part.found).toContain("10 weaker examples are left out");
    expect(await rowsOf(part.texts)).toHaveLength(1);
    const refused: [string, RegExp][] = [
      [line([1, 2], { tokens: ["a"] }), /1 tokens have 2 values/],
      [line([1, null]), /"values"/],
      [line([1e6]), /fp16/],
      [line([1], { index: "x" }), /"index"/],
      [line([1]).slice(0, -9), /line 2 is not JSON/],
      [line([1], { layer: "4-res" }), /"layer" is 4-res/],
    ];
    for (const [text, message] of refused) {
      const file = await write("b.jsonl", `${line([1])}\n${text}\n`);
      await expect(neuronpediaReader.read(file, {}), text).rejects.toMatchObject({
        code: "file_invalid",
        message: expect.stringMatching(message),
      });
    }
    const bare = (await readFile(path.join(at, "features/batch-0.jsonl.gz"))).subarray(0, 200);
    await write("features/batch-0.jsonl.gz", bare);
    await rm(many);
    await rm(path.join(folder, "b.jsonl"));
    await expect(neuronpediaReader.read(folder, {})).rejects.toMatchObject({
      message: expect.stringContaining("not a complete gzip file"),
    });
  });

  it("takes suppressed tokens, the nearest by decoder cosine without the feature itself, and what Facet's own export adds", async () => {
    const feature = {
      ...{ modelId: "m", layer: "3-res", index: "1", maxActApprox: 8, frac_nonzero: 0.25 },
      ...{ pos_str: ["a"], pos_values: [1], neg_str: [" b", " c"], neg_values: [-2, -1.5] },
      ...{ topkCosSimIndices: [1, 7, 4, 7], topkCosSimValues: [1, 0.5, 0.25, 0.5] },
    };
    await write(
      "features/batch-0.jsonl",
      `${JSON.stringify(feature)}\n${JSON.stringify({ ...feature, index: "0", topkCosSimIndices: [], topkCosSimValues: [], imageDensity: 0.75, textDensity: null, imageShare: 1, meanActivation: 3 })}\n`,
    );
    const explanation = { modelId: "m", layer: "3-res", index: "1", typeName: "t", explanationModelName: "e" };
    const score = { scoreType: "iou", value: 0.5, baseline: 0.25, n: 9, failure: null, method: "a sentence" };
    const lines = [
      { ...explanation, description: "the first", preferred: false, label: "one" },
      {
        ...explanation,
        description: "the second",
        preferred: true,
        concept: "colour",
        scores: [score, { ...score, scoreType: "clip", value: null, failure: "no" }],
      },
      { ...explanation, description: "the first", preferred: false },
      { ...explanation, index: "0", description: "elsewhere the first is preferred" },
    ];
    await write("explanations/batch-0.jsonl", lines.map((line) => JSON.stringify(line)).join("\n"));
    const part = one(await neuronpediaReader.read(folder, {}));
    expect(part.num_latents).toBe(8);
    const [image, text] = await rowsOf(part.tables.features);
    expect(image).toMatchObject({
      index: 0,
      density: 0.75,
      text_density: null,
      image_share: 1,
      mean_activation: 3,
      always_on: true,
      dead: false,
    });
    expect(text).toMatchObject({ index: 1, density: null, text_density: 0.25, image_share: null, always_on: false });
    const of = (index: number) => (row: { index: number }) => row.index === index;
    expect((await rowsOf(part.tables.tokens)).filter(of(1)).map(({ kind, rank, token, value }) => [kind, rank, token, value])).toEqual([
      ["writes", 0, "a", 1],
      ["suppresses", 0, " b", -2],
      ["suppresses", 1, " c", -1.5],
    ]);
    expect(await rowsOf(part.tables.neighbours)).toEqual([
      { index: 1, kind: "decoder", rank: 0, neighbour: 7, value: 0.5 },
      { index: 1, kind: "decoder", rank: 1, neighbour: 4, value: 0.25 },
    ]);
    const explanations = await rowsOf(part.tables.explanations);
    expect(explanations.map(({ index, text, label, preferred, concept }) => [index, text, label, preferred, concept])).toEqual([
      [1, "the first", "one", false, null],
      [1, "the second", "the second", true, "colour"],
      [0, "elsewhere the first is preferred", "elsewhere the first is preferred", true, null],
    ]);
    expect(await rowsOf(part.tables.scores)).toEqual([
      { index: 1, explanation: "t", metric: "iou", value: 0.5, baseline: 0.25, n: 9, failure: null, method: "a sentence" },
      { index: 1, explanation: "t", metric: "clip", value: null, baseline: 0.25, n: 9, failure: "no", method: "a sentence" },
    ]);
    await write("features/batch-1.jsonl", JSON.stringify({ ...feature, index: "2", topkCosSimValues: [1] }));
    await expect(neuronpediaReader.read(folder, {})).rejects.toMatchObject({
      message: expect.stringContaining('4 "topkCosSimIndices" have 1'),
    });
  });

  it("puts bars of any width into 32 bins", () => {
    const counts = rebin([0.5, 9.99, 5], [2, 1, 3], 10);
    expect(counts?.[1]).toBe(2);
    expect(counts?.[16]).toBe(3);
    expect(counts?.[31]).toBe(1);
    expect(rebin([], [], 10)).toBeNull();
  });
});
