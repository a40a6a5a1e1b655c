import { writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { isRecorded } from "@/lib/core/experiment";
import { generateRequestSchema } from "@/lib/core/protocol";
import type { StoriesFile, Story } from "@/lib/core/story";
import { listDictionaries } from "./dictionaries";
import { dropDictionary } from "./drop-dictionary";
import { findExperiment, listExperiments } from "./experiments";
import { listImages } from "./images";
import { importBundle } from "./import-bundle";
import { listStories } from "./stories";
import { writeTestBundle } from "./test-bundle";
import { openTestCatalog, type TestCatalog } from "./test-catalog";
import { testRun } from "./test-run";

const ref = "test-model/model.layers.1";
let catalog: TestCatalog;
let bundle: string;
let sha256: string;
let picture: string;

beforeAll(async () => {
  catalog = await openTestCatalog();
  ({ bundle } = await catalog.add({ features: 30, images: 8 }));
  sha256 = (await listDictionaries(catalog.db))[0]?.sha256 ?? "";
  picture = (await listImages(catalog.db, { limit: 1, cursor: null })).items[0]?.sha256 ?? "";
}, 120_000);
afterAll(() => catalog?.close());

function story(kind: Story["kind"], dictionarySha256: string): Story {
  const request = generateRequestSchema.parse({
    dictionary: ref,
    messages: [
      {
        role: "user",
        content: [
          { type: "image", image: { sha256: picture } },
          { type: "text", text: "Is there a sun?" },
        ],
      },
    ],
    interventions: [{ feature: 3, op: "ablate", scope: { type: "all" } }],
    controls: ["baseline", "random"],
  });
  const answers = { steered: ["no"], baseline: ["yes"], random: ["yes"] };
  return {
    kind,
    truth: "a sign that says sun",
    picture,
    question: "Is there a sun?",
    before: "yes",
    after: "no",
    token: 0,
    trace: { answer: "yes", against: "no", value: 2, active: 40 },
    cause: { feature: 3, label: "the word sun", rank: 2, estimate: 3, effect: 4 },
    clamped: { feature: 3, label: "the word sun" },
    chance: { before: 0.1, after: 0.9, random: 0.1 },
    panel: { changed: 0, of: 50, leftOut: "" },
    search: { rule: "A rule.", steps: [{ what: "tried", n: 9 }] },
    run: { request, events: testRun(request, { answers, images: [picture], dictionarySha256 }).filter(isRecorded) },
  };
}

const write = (folder: string, stories: Story[], more: object = {}) =>
  writeFile(
    path.join(folder, "stories.json"),
    JSON.stringify({ format: "facet-stories/1", command: "make them", stories, ...more } satisfies StoriesFile & object),
  );

it("are none where the bundle brings none", async () => {
  expect(await listStories(catalog.db)).toEqual([]);
  expect((await listExperiments(catalog.db, { limit: 5, cursor: null })).total).toBe(0);
});

it("come with an import, each with its run as an experiment, once, under the same address everywhere", async () => {
  await write(bundle, [story("hallucination", sha256), story("written", sha256)]);
  const { dictionaries } = await importBundle(catalog.db, bundle);
  expect(dictionaries[0]?.outcome).toBe("unchanged");
  const kept = await listStories(catalog.db);
  expect(kept.map(({ kind }) => kind)).toEqual(["hallucination", "written"]);
  const experiment = await findExperiment(catalog.db, kept[1]?.experiment ?? "");
  expect(experiment).toMatchObject({ steered: "no", baseline: "yes", request: kept[1]?.request, pictures: [{ sha256: picture }] });
  expect(experiment.title).toBe("A written word that overrides the picture: “the word sun”, “yes” → “no”");

  await importBundle(catalog.db, bundle);
  expect(await listStories(catalog.db)).toEqual(kept);
  expect((await listExperiments(catalog.db, { limit: 5, cursor: null })).total).toBe(2);

  const other = await openTestCatalog();
  try {
    await importBundle(other.db, bundle);
    expect(await listStories(other.db)).toEqual(kept);
  } finally {
    await other.close();
  }
}, 120_000);

it("give way to those of a newer file, whose experiments come beside the old ones", async () => {
  await write(bundle, [{ ...story("emotion", sha256), question: "Another?" }]);
  await importBundle(catalog.db, bundle);
  expect((await listStories(catalog.db)).map(({ kind, question }) => [kind, question])).toEqual([["emotion", "Another?"]]);
  expect((await listExperiments(catalog.db, { limit: 5, cursor: null })).total).toBe(3);
});

it("are refused, with nothing written, where a key is wrong or a run is not its request's", async () => {
  const fresh = path.join(catalog.folder, "fresh");
  await writeTestBundle(fresh, { model: "another-model", features: 30, images: 8 });
  const there = async () => [(await listDictionaries(catalog.db)).map((one) => one.ref), await listStories(catalog.db)];
  const before = await there();
  await write(fresh, [{ ...story("emotion", sha256), before: "" }]);
  await expect(importBundle(catalog.db, fresh)).rejects.toMatchObject({
    code: "bundle_invalid",
    message: expect.stringMatching(/stories\.json: "stories\.0\.before" is wrong/),
  });
  const foreign = story("emotion", sha256);
  foreign.run.request.interventions = [];
  await write(fresh, [foreign]);
  await expect(importBundle(catalog.db, fresh)).rejects.toMatchObject({ code: "receipt_mismatch" });
  await writeFile(path.join(fresh, "stories.json"), "{");
  await expect(importBundle(catalog.db, fresh)).rejects.toMatchObject({ code: "bundle_invalid" });
  expect(await there()).toEqual(before);
});

it("are not told of other weights, nor once their dictionary is gone; their experiments stay", async () => {
  await write(bundle, [story("written", "9".repeat(64))]);
  await importBundle(catalog.db, bundle);
  expect(await listStories(catalog.db)).toEqual([]);
  await write(bundle, [story("written", sha256)]);
  await importBundle(catalog.db, bundle);
  const [kept] = await listStories(catalog.db);
  await dropDictionary(catalog.db, ref);
  expect(await listStories(catalog.db)).toEqual([]);
  expect((await findExperiment(catalog.db, kept?.experiment ?? "")).steered).toBe("no");
});
