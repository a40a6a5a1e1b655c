import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { chanceAtMost, type Done, groups, keyOf, type Mended, type Mistake, type Row, summary } from "@/bench/mistakes-summary";
import type { ShareOfTrials } from "@/lib/core/share-interval";

const row = (feature: number, names: boolean): Row => ({ feature, label: null, contribution: 1, image: 1, text: 0, names });

const mistake = (seed: number, over: Partial<Mistake>): Mistake => ({
  kind: "presence",
  seed,
  question: "is there a dog ?",
  said: "yes",
  right: "no",
  thing: "dog",
  labelled: 1,
  active: 4,
  top: [row(1, true), row(2, false)],
  random: [row(3, false)],
  ...over,
});

const by = (harm: number | null, ...features: number[]): Mended => ({
  right: harm !== null,
  clamps: features.map((feature) => ({ feature, op: "scale", value: 0, unit: "max", scope: { type: "image" } })),
  harm,
  answers: 10 * features.length,
});

test("counts what attribution finds, what is mended, and by what", () => {
  const mistakes = [
    mistake(1, {}),
    mistake(2, { top: [row(2, false)] }),
    mistake(3, { labelled: 0, top: [] }),
    mistake(4, { thing: "", labelled: 0, said: "no", right: "yes" }),
    mistake(5, { kind: "emotion", thing: "" }),
  ];
  const hallucinations = mistakes.filter(groups.hallucination as never);
  expect(hallucinations.map(({ seed }) => seed)).toEqual([1, 2, 3]);
  expect(mistakes.filter(groups.denial as never).map(({ seed }) => seed)).toEqual([4]);
  expect(mistakes.filter(groups.emotion as never).map(({ seed }) => seed)).toEqual([5]);

  const hint = { right: true, harm: 0.1 };
  const arms: Pick<Done, "attributed" | "random">[] = [
    { attributed: by(0, 1), random: by(0.04, 3) },
    { attributed: by(0.02, 2, 1), random: by(0, 3) },
    { attributed: by(0.04, 2), random: by(null) },
  ];
  const tried = arms.map((arm, i) => {
    const one = hallucinations[i] as Mistake;
    return { mistake: one, done: { key: keyOf(one), hint, ...arm } };
  });
  const counted = summary(hallucinations, tried);
  expect(counted).toMatchObject({
    mistakes: 3,
    claims: 3,
    claimsOfThingsWithFeature: 2,
    thingInTop20: { attributed: { hits: 1, of: 2 }, random: { hits: 0, of: 2 } },
    mended: {
      attributed: { right: { hits: 3, of: 3 }, rightWithLittleHarm: { hits: 2, of: 3 }, clamps: [1, 1, 0], medianAnswers: 10 },
      random: { right: { hits: 2, of: 3 }, rightWithLittleHarm: { hits: 1, of: 3 }, clamps: [1, 0, 0] },
      hint: { right: { hits: 3, of: 3 }, rightWithLittleHarm: { hits: 0, of: 3 } },
    },
    // Of the second, feature 1 is the thing's own no more: only what its own attribution names counts.
    mendedByTheThing: { hits: 1, of: 2 },
    pairs: { both: 1, attributedAlone: 1, randomAlone: 0, neither: 1 },
  });
});

test("chance is that of drawing without putting back", () => {
  const top = [row(1, false), row(2, false)];
  // Of the six pairs among four features, three hold the one, five hold one of two.
  expect(chanceAtMost({ active: 4, labelled: 1, top })).toBeCloseTo(1 / 2);
  expect(chanceAtMost({ active: 4, labelled: 2, top })).toBeCloseTo(5 / 6);
  expect(chanceAtMost({ active: 4, labelled: 3, top })).toBe(1);
  expect(chanceAtMost({ active: 4, labelled: 0, top })).toBe(0);
});

test("the page says what was measured", () => {
  const { results } = JSON.parse(readFileSync("bench/results/mistakes.json", "utf8")) as {
    results: Record<string, ReturnType<typeof summary>>;
  };
  const page = readFileSync("docs/attribution.md", "utf8");
  const digits = (x: number) => (x === 1 ? "1" : x.toFixed(2).replace(/^0/, ""));
  const shown = ({ hits, of, share, low, high }: ShareOfTrials) =>
    `${hits} of ${of}: ${digits(share ?? 0)} (${digits(low)}–${digits(high)})`;
  for (const [name, { mended, thingInTop20, mendedByTheThing }] of Object.entries(results)) {
    const told = [
      ...(thingInTop20 ? [thingInTop20.attributed, thingInTop20.random, mendedByTheThing] : []),
      ...[mended.attributed, mended.random, mended.hint].flatMap(({ right, rightWithLittleHarm }) => [right, rightWithLittleHarm]),
    ];
    for (const one of told) expect(page, name).toContain(shown(one));
    if (thingInTop20) expect(page, name).toContain(` ${digits(thingInTop20.chanceAtMost ?? Number.NaN)} of them`);
  }
});
