/**
 * Finds the three guided stories of the home page over the embedded model and its catalogue's pictures, by real runs, and writes them with what the search
 * looked at and the run that shows each (docs/stories.md).
 *
 *   npx tsx bench/stories.ts [--only emotion,hallucination,written] [--pictures 200] [--out demo/bundle/stories.json]
 *
 * Everything is greedy and in the catalogue's order, so that the same model gives the same stories; times in the receipts are those of the machine.
 * `--only` finds some again and leaves the others of the file as they are.
 */
import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type Story, storiesFileSchema, storyKinds } from "@/lib/core/story";
import { emotion, hallucination, written } from "./stories/find";
import { Model } from "./stories/model";

const { values: args } = parseArgs({
  options: {
    only: { type: "string", default: storyKinds.join() },
    pictures: { type: "string", default: "200" },
    out: { type: "string", default: "demo/bundle/stories.json" },
  },
});
const only = args.only.split(",");
const model = await Model.open();
const searches = { emotion, hallucination: (one: Model) => hallucination(one, Number(args.pictures)), written };
const kept = await readFile(args.out, "utf8").then(
  (text) => storiesFileSchema.parse(JSON.parse(text)).stories,
  () => [],
);
const stories: Story[] = [];
for (const kind of storyKinds) {
  const before = kept.find((story) => story.kind === kind);
  if (!only.includes(kind)) {
    if (before) stories.push(before);
    continue;
  }
  console.log(kind);
  const story = await searches[kind](model);
  stories.push(story);
  const { truth, question, before: said, after, cause, clamped, chance, panel } = story;
  console.log(JSON.stringify({ truth, question, said, after, cause, clamped, chance, panel }, null, 2));
}
const file = storiesFileSchema.parse({ format: "facet-stories/1", command: "npx tsx bench/stories.ts", stories });
await writeFile(args.out, `${JSON.stringify(file)}\n`);
process.exit(0);
