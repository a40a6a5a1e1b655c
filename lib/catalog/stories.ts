/** Guided stories: kept by an import, each with its run saved as an experiment, and told while the dictionary that they are about is here. */
import { createHash } from "node:crypto";
import { type RecordedEvent, receiptsOf } from "@/lib/core/experiment";
import { splitRef } from "@/lib/core/routes";
import { type KeptStory, keptStorySchema, type StoriesFile, type Story } from "@/lib/core/story";
import { storyTitle } from "@/lib/core/story-words";
import type { Database, Queryable } from "./db";
import { keepExperiment } from "./experiments";
import { shortId } from "./runs";

interface Row {
  model: string;
  place: number;
  dictionary: string;
  sha256: string;
  content: string;
}

/** The run's id, from what it is: the same stories are the same experiments in every catalogue. */
const runId = ({ run }: Story) => shortId(createHash("sha256").update(JSON.stringify(run)).digest());

async function keepRun(db: Database, story: Story, place: number, command: string): Promise<Row> {
  const { run, ...told } = story;
  const { request } = run;
  const events = run.events as RecordedEvent[];
  const saved = { run: runId(story), title: storyTitle(story), note: `A guided story; found by ${command}.`, request, events };
  const { experiment } = await keepExperiment(db, saved);
  const kept: KeptStory = { ...told, request, experiment: experiment.id, command };
  const sha256 = receiptsOf(events)[0]?.dictionary.sha256 ?? "";
  return { model: splitRef(request.dictionary).model, place, dictionary: request.dictionary, sha256, content: JSON.stringify(kept) };
}

/**
 * Saves the stories' runs as experiments and replaces the stories that their models had. The same again changes nothing. Throws `receipt_mismatch` and
 * `image_not_found` for a run that does not belong to this catalogue, with the stories as they were.
 */
export async function keepStories(db: Database, { command, stories }: StoriesFile): Promise<void> {
  const rows: Row[] = [];
  for (const [place, story] of stories.entries()) rows.push(await keepRun(db, story, place, command));
  await db.transaction(async (client) => {
    await client.query("DELETE FROM story WHERE model = ANY($1)", [rows.map(({ model }) => model)]);
    for (const { model, place, dictionary, sha256, content } of rows) {
      await client.query("INSERT INTO story (model, place, dictionary, sha256, content) VALUES ($1, $2, $3, $4, $5)", [
        model,
        place,
        dictionary,
        sha256,
        content,
      ]);
    }
  });
}

/** The stories whose dictionary the catalogue has, with the weights that they were found with; in their order. */
export async function listStories(db: Queryable): Promise<KeptStory[]> {
  const rows = await db.rows<Pick<Row, "content">>(
    `SELECT content FROM story s
     WHERE EXISTS (SELECT FROM dictionary d WHERE d.ref = s.dictionary AND d.sha256 = s.sha256)
     ORDER BY model, place`,
  );
  // One that another version of Facet wrote, with other keys, is left out rather than told wrongly.
  return rows.flatMap(({ content }) => keptStorySchema.safeParse(JSON.parse(content)).data ?? []);
}
