/**
 * From which cosine on a label counts as a similar meaning: hand-judged questions to the demo's labels, one word and several, some with nothing to
 * find; for each threshold how much of what is shown a person would accept, and how much of the acceptable is shown. Run: npx tsx bench/meaning.ts
 */
import path from "node:path";
import { env } from "@/lib/env";
import { bundleSource } from "@/lib/formats/bundle-source";
import { getEmbedder } from "@/lib/search/open-embedder";

/** Question → labels that answer it, by their words; whatever contains one of them (a whole word) is accepted. */
const questions: Record<string, string> = {
  vehicle: "vehicles car bus truck taxi train tractor ambulance firetruck bicycle airplane helicopter sailboat rocket skateboard",
  fruit: "apple banana lemon pear grapes cherries strawberry pineapple watermelon avocado tomato foods plants",
  vegetable: "broccoli carrot corn tomato avocado mushroom foods plants",
  instrument: "guitar drum trumpet bell",
  weather: "cloud rainbow sun snowman umbrella",
  sadness: "sad crying",
  joy: "happy laughing loving",
  anger: "angry",
  pet: "dog cat rabbit fish mouse turtle animals",
  puppy: "dog animals",
  kitten: "cat animals",
  flower: "rose tulip sunflower plants clover",
  insect: "bee butterfly spider snail animals",
  bird: "duck owl penguin animals",
  dessert: "cake doughnut cookie foods",
  sport: "football basketball skateboard trophy",
  plane: "airplane helicopter rocket vehicles",
  automobile: "car taxi vehicles truck bus",
  boat: "sailboat vehicles",
  ocean: "whale fish octopus crab sailboat",
  tool: "hammer scissors",
  clothing: "shirt shoe hat",
  alphabet: "letter letters",
  country: "flag flags",
  music: "guitar drum trumpet bell",
  winter: "snowman",
  illness: "sick",
  emotion: "face faces love loving",
  reptile: "snake turtle animals",
  dwelling: "house",
  triangle: "shapes square circle",
  crimson: "red pink",
  doctor: "ambulance sick",
  philosophy: "",
  money: "",
  democracy: "",
  software: "",
  lawyer: "",
  "transport in the sky": "airplane helicopter rocket balloon",
  "things that fly": "airplane helicopter rocket balloon butterfly bee owl duck",
  "sea creatures": "whale fish octopus crab turtle animals",
  "a sour yellow fruit": "lemon banana pineapple foods",
  "a vehicle with two wheels": "bicycle skateboard vehicles",
  "something sweet to eat": "cake doughnut cookie strawberry cherries foods",
  "feeling unhappy": "sad crying angry sick",
  "musical instruments": "guitar drum trumpet bell",
  "national symbols": "flag flags",
  "big cats": "lion tiger cat",
  "protection from rain": "umbrella",
  "where people live": "house",
  "an emergency vehicle": "ambulance firetruck vehicles",
  "farm animals": "cow pig duck rabbit animals",
  "objects in the night sky": "moon star",
  "traffic signs": "sign signs stop",
  "letters of the alphabet": "letter letters",
  "striped animal": "zebra tiger animals",
  "fast food": "burger fries hotdog pizza taco foods",
  "a person who feels tired": "sleepy",
  "quantum physics": "",
  "stock market prices": "",
  "tax return form": "",
  "the theory of evolution": "",
};

async function demoLabels(): Promise<string[]> {
  const labels = new Set<string>();
  const source = await bundleSource(path.join(env.root, "demo", "bundle"));
  for (const { tables } of source.dictionaries) {
    for await (const batch of tables.explanations.batches()) for (const row of batch) if (row.preferred && row.label) labels.add(row.label);
  }
  return [...labels];
}

const embedder = await getEmbedder();
if (!embedder) throw new Error("models/minilm is not there.");
const labels = await demoLabels();
const vectors = await embedder.embed(labels);
const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

interface Judged {
  one: boolean;
  /** Whether anything of the demo answers it. */
  answerable: boolean;
  scored: { label: string; similarity: number; accepted: boolean }[];
}

const judged: Judged[] = [];
for (const [question, accepted] of Object.entries(questions)) {
  const [vector] = await embedder.embed([question]);
  const words = new Set(accepted.split(" ").filter(Boolean));
  const scored = labels
    // What has the word itself is found by it, and needs no meaning.
    .filter((label) => !label.split(/\W+/).includes(question))
    .map((label) => ({
      label,
      similarity: cosine(vector as Float32Array, vectors[labels.indexOf(label)] as Float32Array),
      accepted: label.split(/\W+/).some((word) => words.has(word)),
    }))
    .sort((a, b) => b.similarity - a.similarity);
  judged.push({ one: !question.includes(" "), answerable: words.size > 0, scored });
  if (process.argv.includes("--show")) {
    const shown = scored.slice(0, 12).map((one) => `${one.accepted ? "" : "✗"}${one.label} ${one.similarity.toFixed(2)}`);
    console.log(`${question}: ${shown.join(", ")}`);
  }
}

console.log(
  `${labels.length} labels, ${judged.filter((one) => one.one).length} questions of one word and ${judged.filter((one) => !one.one).length} of several`,
);
console.log("| least cosine | words | accepted of shown | accepted shown | answered | questions without an answer that show something |");
console.log("|---|---|---|---|---|---|");
for (const one of [true, false]) {
  for (let least = 0.3; least < 0.61; least += 0.05) {
    const some = judged.filter((question) => question.one === one);
    const shown = some
      .filter((question) => question.answerable)
      .map(({ scored }) => scored.filter(({ similarity }) => similarity >= least));
    const accepted = shown.flat().filter((hit) => hit.accepted).length;
    const all = some.filter((question) => question.answerable).flatMap(({ scored }) => scored.filter((hit) => hit.accepted)).length;
    const answered = shown.filter((hits) => hits.some((hit) => hit.accepted)).length;
    const idle = some.filter((question) => !question.answerable);
    const noisy = idle.filter(({ scored }) => (scored[0]?.similarity ?? 0) >= least).length;
    console.log(
      `| ${least.toFixed(2)} | ${one ? "one" : "several"} | ${(accepted / Math.max(1, shown.flat().length)).toFixed(2)} | ${(accepted / all).toFixed(2)} | ${answered} of ${shown.length} | ${noisy} of ${idle.length} |`,
    );
  }
}
