/** A catalogue for tests and its copy, with texts as people write them. */
import { existsSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import path from "node:path";
import { keepExperiment } from "@/lib/catalog/experiments";
import { listImages } from "@/lib/catalog/images";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { testRun } from "@/lib/catalog/test-run";
import { isRecorded, type RecordedEvent } from "@/lib/core/experiment";
import { generateRequestSchema } from "@/lib/core/protocol";
import { addDetection, writtenTexts } from "@/lib/search/test-texts";
import { answerFrom } from "./answer";
import { writeStaticData } from "./write";

/** The dictionary: 120 features. */
export const ref = "test-model/model.layers.1";

/** As people write explanations: words again, beside each other or not, in label and text, with compounds, numbers and other scripts. */
export const said: [label: string, text: string][] = [
  ...writtenTexts,
  ["yellow-green leaves", "Leaves that are yellow-green, or green and yellow; mostly on the left. Green leaves, rarely green fruit."],
  ["round wooden table", "A table made of wood. The wooden table is round, and on it lies a lemon or some other yellow fruit."],
  ["fruit on a table", "Any fruit which lies on a table: an apple, a banana, a yellow lemon. Not the table itself."],
  ["the sky at night", "Night skies; stars, and star-shaped things in the sky (see U.S. flags). It's the sky's own dark."],
  ["striped and/or dotted", "Stripes, dots, stripes and dots, at 45° or v2 of it; 3.14 is no stripe. State-of-the-art stripes."],
];

export interface TestCopy {
  catalog: TestCatalog;
  /** The copy's folder, which goes with the catalogue's. */
  dir: string;
  /** Hashes of the pictures, in the order of import. */
  pictures: string[];
  answer: ReturnType<typeof answerFrom>;
  /** Files that the copy was asked for. */
  asked: string[];
}

export async function openTestCopy(): Promise<TestCopy> {
  const catalog = await openTestCatalog();
  await catalog.add({
    features: 120,
    images: 60,
    edit: ({ explanations = [], scores = [] }) => {
      addDetection(scores);
      for (const row of explanations) {
        const index = row.index as number;
        const [label, text] = (index < said.length ? said[index] : index % 5 === 0 ? said[index % said.length] : null) ?? [];
        // Texts of several features have a tail, so that where a word stands differs.
        if (label && row.preferred) Object.assign(row, { label: index < said.length ? label : `${label} too`, text });
      }
    },
  });
  const pictures = (await listImages(catalog.db, { limit: 100, cursor: null })).items.map(({ sha256 }) => sha256);
  for (const [i, question] of ["what is it ?", "which fruit lies on the table ?", "name the colours"].entries()) {
    const request = generateRequestSchema.parse({
      dictionary: ref,
      messages: [
        {
          role: "user",
          content: [
            { type: "image", image: { sha256: pictures[i] } },
            { type: "text", text: question },
          ],
        },
      ],
      interventions: [{ feature: 4 + i, value: 4 }],
    });
    const events = testRun(request, { images: [pictures[i] as string] }).filter(isRecorded) as RecordedEvent[];
    await keepExperiment(catalog.db, { run: "abcdefghijklmnop", title: "", note: i ? "" : "Lemons everywhere", request, events });
  }
  const dir = await mkdtemp(path.join(catalog.folder, "copy-"));
  await writeStaticData({ db: catalog.db, dir });
  const asked: string[] = [];
  const answer = answerFrom(async (name) => {
    asked.push(name);
    const file = path.join(dir, name);
    return existsSync(file) ? JSON.parse(await readFile(file, "utf8")) : null;
  });
  return { catalog, dir, pictures, answer, asked };
}
