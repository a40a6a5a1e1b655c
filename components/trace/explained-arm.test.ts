import { expect, it } from "vitest";
import type { Receipt } from "@/lib/core/protocol";
import { armSentence, type ExplainedArm } from "./explained-arm";

const clamp = (feature: number) => ({ feature, op: "set", value: 4, unit: "max", scope: { type: "image" } }) as const;
const plain: ExplainedArm = { mode: "delta", clamps: [], control: null, seed: 3, numLatents: 2048, arm: undefined };
const ended = (features: number[]) => ({
  arm: "random" as const,
  tokens: [],
  receipt: { clamps: features.map((feature) => ({ feature })) } as Receipt,
});

it("says whose answer is explained, and nothing of the model's own", () => {
  expect(armSentence(plain)).toBeNull();
  expect(armSentence({ ...plain, control: "random" })).toBeNull();
  expect(armSentence({ ...plain, mode: "reconstruct" })).toMatch(/^The answer of the reconstruction: /);
  expect(armSentence({ ...plain, clamps: [clamp(7)] })).toBe("The answer under 1 clamp: #0007 set to 4 × max on the picture.");
  expect(armSentence({ ...plain, mode: "reconstruct", clamps: [clamp(7)], control: "negated" })).toBe(
    "The answer under the opposite control: every change is turned round. The 1 clamp: #0007 set to 4 × max on the picture. The dictionary's output replaces the model's states.",
  );
});

it("names what the random control drew once its receipt is there", () => {
  const random: ExplainedArm = { ...plain, control: "random", clamps: [clamp(7), clamp(8)] };
  expect(armSentence(random)).toContain("a random feature of seed 3, at equal norm. The 2 clamps: ");
  expect(armSentence({ ...random, arm: ended([41, 42]) })).toContain("at equal norm: #0041 for #0007, #0042 for #0008. ");
  const many = { ...random, clamps: [7, 8, 9, 10, 11].map(clamp), arm: ended([41, 42, 43, 44, 45]) };
  expect(armSentence(many)).toContain("#0043 for #0009 and 2 more. The 5 clamps: ");
  expect(armSentence(many)).toMatch(/#0009 set to 4 × max on the picture; 2 more\.$/);
});
