import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type MiniLm, openMiniLm, readsLatin } from "./embed-minilm";
import { leastSimilarity } from "./meaning";

let model: MiniLm;
beforeAll(async () => {
  model = (await openMiniLm()) as MiniLm;
});

const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
const near = async (a: string, b: string) => {
  const [x, y] = await model.embed([a, b]);
  return cosine(x as Float32Array, y as Float32Array);
};

describe("the embedder in the repository", () => {
  it("is there, and null where its files are not", async () => {
    expect(model.id).toBe("all-MiniLM-L6-v2-int8");
    expect(await openMiniLm(path.join("no", "such", "folder"))).toBeNull();
  });

  it("splits words as the model's own tokenizer does", () => {
    // tokenizers 0.23.3 on the same tokenizer.json
    expect(model.ids("The sky above a café — naïve, 100%!")).toEqual([
      101, 1996, 3712, 2682, 1037, 7668, 1517, 15743, 1010, 2531, 1003, 999, 102,
    ]);
    const long = model.ids("lemon ".repeat(2_000));
    expect(long).toHaveLength(128);
    expect([long[0], long.at(-1)]).toEqual([101, 102]);
    expect(model.ids("")).toEqual([101, 102]);
  });

  it("gives vectors of length 1, the same whatever else is embedded", async () => {
    const texts = [
      "lemon",
      "a long sentence about people who walk along the water at sunset",
      "",
      "黄色い果物",
      "\ud83d\ude00",
      "x".repeat(2_000),
    ];
    const together = await model.embed(texts);
    for (const [i, text] of texts.entries()) {
      const [alone] = await model.embed([text]);
      expect(cosine(alone as Float32Array, alone as Float32Array)).toBeCloseTo(1, 4);
      expect(alone, text.slice(0, 20)).toEqual(together[i]);
    }
  });

  it("puts what means the same nearer than what does not", async () => {
    expect(await near("puppy", "dog")).toBeGreaterThan(0.7);
    expect(await near("something to cut paper", "scissors")).toBeGreaterThan(0.5);
    expect(await near("sea creature", "octopus")).toBeGreaterThan(0.55);
    expect(await near("quantum physics", "octopus")).toBeLessThan(0.3);
    expect(await near("zzqxv wkjhg", "lemon")).toBeLessThan(0.3);
  });

  it("knows which scripts it reads", () => {
    expect(["dog", "naïve café", "the 5 dogs 狗"].map(readsLatin)).toEqual([true, true, true]);
    expect(["", "ab", "12345", "собака", "黄色い果物", "שלום", "🥳", "dog собака на"].map(readsLatin)).toEqual(Array(8).fill(false));
  });
});

it.each([
  // A single word is near many others that it has nothing to do with.
  ["money", "television", false],
  ["philosophy", "snake", false],
  ["lawyer", "lemon", false],
  ["vehicle", "truck", true],
  ["dwelling", "house", true],
  ["pet", "rabbit", true],
  ["quantum physics", "letter b", false],
  ["protection from rain", "umbrella", true],
  ["things that fly", "helicopter", true],
])("%s and %s: similar enough to be shown is %s", async (question, label, shown) => {
  expect((await near(question, label)) >= leastSimilarity(question)).toBe(shown);
});
