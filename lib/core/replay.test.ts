import { describe, expect, it } from "vitest";
import { testRun } from "../catalog/test-run";
import { type GenerateRequestInput, generateRequestSchema } from "./protocol";
import { compareRuns, describeDifference, describeVerdict } from "./replay";

const request = generateRequestSchema.parse({
  dictionary: "a/b",
  messages: [{ role: "user", content: [{ type: "text", text: "what is it ?" }] }],
  interventions: [{ feature: 7 }],
} satisfies GenerateRequestInput);
const images = ["5".repeat(64)];
const run = (more: Parameters<typeof testRun>[1] = {}) => testRun(request, { images, ...more });

describe("a replay", () => {
  it("matches where every arm wrote the same tokens, and says how nearly the same their probabilities are", () => {
    const verdict = compareRuns(run(), run());
    expect(verdict).toMatchObject({ sameTokens: true, tokens: 4, arms: 2, hashes: [], differing: [], missing: [], probabilityGap: 0 });
    expect(describeVerdict(verdict)).toBe(
      "It matches token for token: 4 tokens in 2 answers. Their probabilities are the same to the last bit.",
    );
    const near = run().map((event) => (event.type === "token" ? { ...event, logprob: event.logprob + 1e-6 } : event));
    const nearly = compareRuns(run(), near);
    expect(nearly.sameTokens).toBe(true);
    expect(nearly.probabilityGap).toBeGreaterThan(0);
    expect(nearly.probabilityGap).toBeLessThan(1e-5);
    expect(describeVerdict(nearly)).not.toContain("bit");
  });

  it("names the first token that differs, in which answer, also where one is longer", () => {
    const other = compareRuns(run(), run({ answers: { steered: [" a", " pear"] } }));
    // The test's ids count positions: the text tells them apart.
    expect(other.differing).toEqual([{ arm: "steered", at: 1, saved: " lemon", now: " pear" }]);
    expect(describeVerdict(other)).toBe("It does not match: 1 of 2 answers differs.");
    expect(compareRuns(run(), run({ answers: { baseline: [" a"] } })).differing).toEqual([
      { arm: "baseline", at: 1, saved: " dog", now: null },
    ]);
    expect(compareRuns(run(), run({ answers: { baseline: [" a", " dog", " ."] } })).differing).toEqual([
      { arm: "baseline", at: 2, saved: null, now: " ." },
    ]);
  });

  it("names each hash that differs once, even where the texts are the same", () => {
    const verdict = compareRuns(run(), run({ dictionarySha256: "9".repeat(64), modelSha256: "8".repeat(64), images: ["7".repeat(64)] }));
    expect(verdict.sameTokens).toBe(true);
    expect(verdict.hashes.map(describeDifference)).toEqual([
      "The model's hash differs: saved with 111111111111, run now with 888888888888.",
      "The dictionary's hash differs: saved with 222222222222, run now with 999999999999.",
      "The hash of picture 1 differs: saved with 555555555555, run now with 777777777777.",
    ]);
    const scaled = run().map((event) =>
      event.type === "receipt"
        ? { ...event, receipt: { ...event.receipt, clamps: event.receipt.clamps.map((clamp) => ({ ...clamp, unitActivation: 2 })) } }
        : event,
    );
    expect(compareRuns(run(), scaled).hashes.map(describeDifference)).toEqual([
      "The maximum of feature 7, in which its strength is counted, differs: saved with 1, run now with 2.",
    ]);
  });

  it("does not match where an answer did not come", () => {
    const cut = run().filter((event) => event.type !== "receipt" || event.receipt.arm !== "baseline");
    const verdict = compareRuns(run(), cut);
    expect(verdict).toMatchObject({ sameTokens: false, missing: ["baseline"], arms: 1 });
    expect(describeVerdict(verdict)).toBe("It does not match: 1 answer did not come.");
    expect(describeVerdict(compareRuns(run(), []))).toBe("It gave no answer to compare.");
  });
});
