import { describe, expect, it } from "vitest";
import { createRandom } from "./random";
import { argmax, chooseToken, likeliest, logSoftmax } from "./sampling";

const logits = Float32Array.from([0.5, 2, 2, -1, 1.25]);
const greedy = { maxTokens: 8, temperature: 0, topP: 1, seed: 0 };

describe("sampling", () => {
  it("normalises", () => {
    const total = logSoftmax(logits).reduce((sum, logprob) => sum + Math.exp(logprob), 0);
    expect(total).toBeCloseTo(1, 12);
    expect(logSoftmax(Float32Array.from([1e4, -1e4]))[0]).toBe(0);
  });

  it("is greedy at temperature 0, taking the lowest of equal ids and no random number", () => {
    const refuse = () => {
      throw new Error("a random number was drawn");
    };
    expect(argmax(logits)).toBe(1);
    expect(chooseToken(logits, greedy, refuse)).toBe(1);
  });

  it("lists the likeliest in order", () => {
    expect(likeliest(logSoftmax(logits), 3).map(({ id }) => id)).toEqual([1, 2, 4]);
    expect(likeliest(logits, 0)).toEqual([]);
    expect(likeliest(logits, 10)).toHaveLength(5);
  });

  it("draws by probability", () => {
    const random = createRandom(7);
    const counts = new Array(5).fill(0);
    const n = 20_000;
    for (let i = 0; i < n; i++) counts[chooseToken(logits, { ...greedy, temperature: 1 }, random)]++;
    logSoftmax(logits).forEach((logprob, id) => {
      const p = Math.exp(logprob);
      expect(Math.abs(counts[id] / n - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / n));
    });
  });

  it("keeps to the nucleus", () => {
    const random = createRandom(1);
    const seen = new Set(Array.from({ length: 500 }, () => chooseToken(logits, { ...greedy, temperature: 1, topP: 0.5 }, random)));
    expect([...seen].sort()).toEqual([1, 2]);
  });

  it("repeats with the seed and differs with another", () => {
    const draw = (seed: number) => Array.from({ length: 12 }, createRandom(seed));
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
    const mean = Array.from({ length: 10_000 }, createRandom(0)).reduce((a, b) => a + b, 0) / 10_000;
    expect(mean).toBeCloseTo(0.5, 1);
  });
});
