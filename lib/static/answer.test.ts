import { mkdtemp, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dictionariesSchema } from "@/lib/api/dictionaries";
import { featureNamesSchema } from "@/lib/api/engine";
import { regionPicturesQuerySchema } from "@/lib/api/region-pictures";
import { listDictionaries } from "@/lib/catalog/dictionaries";
import { findExperiment, listExperiments } from "@/lib/catalog/experiments";
import { findFeature } from "@/lib/catalog/feature-detail";
import { featureTraits } from "@/lib/catalog/feature-traits";
import { allFeatureNames } from "@/lib/catalog/feature-units";
import { featureHistograms } from "@/lib/catalog/histograms";
import { findImage, findImageInfo, listImages, storedActivations } from "@/lib/catalog/images";
import { regionPictures } from "@/lib/catalog/region-pictures";
import type { TestCatalog } from "@/lib/catalog/test-catalog";
import { featureQueryParams, parseFeatureQuery } from "@/lib/core/feature-query";
import { withoutHighlight } from "@/lib/core/highlight";
import { type FeaturePage, featureDetailSchema, featurePageSchema, sortKeys } from "@/lib/core/records";
import { emptyRegion, encodeRegion } from "@/lib/core/region";
import { routes } from "@/lib/core/routes";
import { featuresAround } from "@/lib/search/features-around";
import type { Home } from "@/lib/search/home";
import { listFeatures } from "@/lib/search/list-features";
import { type AnswerInit, answerFrom } from "./answer";
import { files } from "./layout";
import { openTestCopy, ref, said, type TestCopy } from "./test-copy";
import { writeStaticData } from "./write";

let copy: TestCopy;
let catalog: TestCatalog;
let answer: TestCopy["answer"];

beforeAll(async () => {
  copy = await openTestCopy();
  ({ catalog, answer } = copy);
}, 120_000);
afterAll(() => catalog?.close());

type Params = Record<string, string>;
const params = (more: Params): Params => ({ dictionary: ref, ...more });
const server = (more: Params) => listFeatures(catalog.db, parseFeatureQuery(params(more)), { embedder: null });
const copied = async (more: Params) => (await answer(routes.api.features(params(more)))) as FeaturePage;

/** The page without the excerpts of explanations, of which a copy's may begin elsewhere. */
const comparable = (page: FeaturePage) => ({
  ...page,
  items: page.items.map((card) => ({ ...card, match: card.match && { kind: card.match.kind } })),
});

async function same(more: Params): Promise<FeaturePage> {
  const [mine, theirs] = await Promise.all([copied(more), server(more)]);
  expect(comparable(mine), JSON.stringify(more)).toEqual(comparable(theirs));
  return theirs;
}

async function refusal(url: string, init?: AnswerInit) {
  return answer(url, init).then(
    (value) => ({ value }),
    (error) => ({ code: error.code, message: error.message, fix: error.fix }),
  );
}
const refused = (work: Promise<unknown>) =>
  work.then(
    (value) => ({ value }),
    (error) => ({ code: error.code, message: error.message, fix: error.fix }),
  );

describe("the list", () => {
  it("has the server's rows in every order, both ways, with every kind of filter", async () => {
    const filters: Params[] = [
      {},
      { explained: "1", dead: "0" },
      { iou_min: "0.2", iou_max: "0.8" },
      { concept: "object,colour", sink: "0" },
      { scored_by: "detection,fuzzing" },
      { max_activation_min: "4.5", images_max: "9" },
    ];
    let n = 0;
    for (const key of sortKeys) {
      for (const sort of key === "relevance" ? [key] : [key, `-${key}`]) {
        await same({ sort, limit: "60", ...(filters[n++ % filters.length] as Params) });
      }
    }
    for (const filter of filters) await same(filter);
  }, 60_000);

  it("walks forwards and back with the server's own cursors", async () => {
    for (const more of [
      { sort: "-density" },
      { sort: "iou", explained: "1" },
      { sort: "-max_activation" },
      { q: "green", sort: "-index" },
    ] as Params[]) {
      let page = await same({ ...more, limit: "40" });
      while (page.next) page = await same({ ...more, limit: "40", cursor: page.next });
      while (page.previous) page = await same({ ...more, limit: "40", cursor: page.previous });
    }
  }, 60_000);

  it("finds a value that was shown", async () => {
    const { items } = await copied({ sort: "-max_activation", limit: "3" });
    const shown = String(items[1]?.maxActivation);
    expect((await same({ max_activation_min: shown, max_activation_max: shown })).total).toBeGreaterThan(0);
  });

  it("refuses what the server refuses, in its words", async () => {
    for (const more of [
      { sort: "nonsense" },
      { iou_min: "x" },
      { limit: "0" },
      { cursor: "bm9uc2Vuc2U" },
      { what: "1" },
      { v: "0123456789ab" },
      { dictionary: "no/such" },
      { sort: "images", cursor: btoa(JSON.stringify(["images", 1.5, 1, "after"])) },
    ] as Params[]) {
      const theirs = await refused((async () => server(more))());
      expect(theirs, JSON.stringify(more)).toHaveProperty("code");
      expect(await refusal(routes.api.features(params(more))), JSON.stringify(more)).toEqual(theirs);
    }
  });

  it("has the neighbours of a feature", async () => {
    for (const more of [{}, { q: "green", sort: "-steer" }, { dead: "0", sort: "density" }] as Params[]) {
      const query = parseFeatureQuery(params(more));
      for (const index of [0, 6, 17, 44, 119]) {
        expect(await answer(`/api/around?${new URLSearchParams({ ...featureQueryParams(query), index: String(index) })}`)).toEqual(
          await featuresAround(catalog.db, query, index, { embedder: null }),
        );
      }
    }
  });

  it("is read once, and is small", async () => {
    await copied({ limit: "1" });
    copy.asked.length = 0;
    await copied({ sort: "-density", limit: "5" });
    await copied({ sort: "iou", limit: "5" });
    expect(copy.asked.filter((name) => name === files.list(ref))).toEqual([]);
    expect(copy.asked).toHaveLength(10);
    // 120 features; 2,048 take as much a feature.
    expect(gzipSync(await readFile(path.join(copy.dir, files.list(ref)))).byteLength).toBeLessThan(120 * 100);
  });
});

describe("search", () => {
  const searches = [
    ...["#14", "14", "model.layers.1_feature14", `${ref}_feature14`, "#120", "model.layers.9_feature14", "3"],
    ...["elephant", "elephants", "eleph", "lemon", "lemons", "banana yellow", "café", "green", "gre", "star", "stars", "circle", "things"],
    ...[
      "yellow fruit",
      "fruit yellow",
      "fruit on a table",
      "wooden table",
      "round table lemon",
      "green leaves",
      "yellow green",
      "table fruit lies",
    ],
    ...[
      "plain background",
      "drawn on a plain background",
      "red circle",
      "green star drawn",
      "fires on green",
      "the",
      "the a of",
      "it's",
      "stripes dots",
    ],
    ...[
      '"grey elephant"',
      '"elephant grey"',
      '"yellow fruit"',
      '"wooden table" round',
      '"a table"',
      '"on a table" fruit',
      '"drawn on" green',
    ],
    ...["green -things", "-green", "fruit -banana", '-"plain background"', "-собака", "table -果物", "yellow -fruit -green"],
    ...[
      "elephnt",
      "elehpant",
      "elephannt",
      "yelow fruit",
      "paryt",
      "tabel",
      "circel",
      "bananna lemn",
      "gren cirle",
      "stripd",
      "backgruond",
    ],
    ...["собака", "果物", "🥳", "100%", "C++", "and/or", "yellow-green", "state-of-the-art", "v2", "3.14", "U.S.", "star-shaped", "45°"],
    ...[
      "'; DROP TABLE feature; --",
      "a & b | !c <-> d:*",
      "((((",
      '"',
      "%_%",
      "'':*",
      "!!! ???",
      "-",
      "$1 $2",
      "constructor",
      "__proto__",
      "",
    ],
  ];

  it("finds and ranks as the server does, page by page", async () => {
    for (const [i, q] of searches.entries()) {
      const page = await same({ q, limit: "25" });
      if (page.next && i % 4 === 0) await same({ q, limit: "25", cursor: page.next });
    }
  }, 120_000);

  it("goes with filters and other orders", async () => {
    for (const q of ["green", "fruit -banana", "yelow", '"on a plain"', "-green", "14"]) {
      await same({ q, sort: "-density", limit: "25" });
      await same({ q, concept: "colour", iou_min: "0.1", limit: "25" });
    }
  }, 60_000);

  it("marks the words that it found as the server does", async () => {
    for (const q of ["elephants", "yellow fruit", "eleph", "elephnt", "果物", "party", '"wooden table"', "paryt"]) {
      const [mine, theirs] = await Promise.all([copied({ q }), server({ q })]);
      for (const [i, { label, match }] of theirs.items.entries()) {
        // Of an excerpt the words are the same; it may begin and end elsewhere.
        const whole = withoutHighlight(match?.highlight ?? "") === label;
        const marks = (text: string | null | undefined) => (whole ? text : new Set(text?.match(/\uE000[^\uE001]*/g)));
        expect(marks(mine.items[i]?.match?.highlight), `${q} ${label}`).toEqual(marks(match?.highlight));
      }
    }
    // An excerpt of the explanation has the words, whatever it begins with.
    const { items } = await copied({ q: "background" });
    for (const { match } of items) expect(match?.highlight).toContain("\uE000background\uE001");
  });

  it("says that it did not go by meaning", async () => {
    expect((await copied({ q: "animal" })).meaning).toMatchObject({ state: "no_embedder", here: null });
    expect((await copied({ q: "#14" })).meaning).toBeNull();
  });
});

describe("everything else", () => {
  it("has each feature whole", async () => {
    for (const index of [...said.keys(), 17, 44, 62, 116, 119]) {
      const mine = await answer(routes.api.feature(ref, index));
      expect(mine, `${index}`).toEqual(await findFeature(catalog.db, ref, index));
      if (index < 3) featureDetailSchema.parse(mine);
    }
    const { version } = (await listDictionaries(catalog.db))[0] as { version: string };
    const v = version.slice(0, 12);
    expect(await answer(routes.api.feature(ref, 3, { v }))).toEqual(await findFeature(catalog.db, ref, 3, v));
    for (const [index, other] of [
      [120, undefined],
      [3, "0123456789ab"],
    ] as const) {
      expect(await refusal(routes.api.feature(ref, index, { v: other }))).toEqual(
        await refused(findFeature(catalog.db, ref, index, other)),
      );
    }
    featurePageSchema.parse(await copied({ q: "green" }));
  }, 60_000);

  it("has the dictionaries, histograms, names and traits", async () => {
    const { items } = dictionariesSchema.parse(await answer(routes.api.dictionaries()));
    expect(items).toEqual(await listDictionaries(catalog.db));
    expect(await answer(routes.api.histograms(ref))).toEqual(await featureHistograms(catalog.db, ref));
    const names = featureNamesSchema.parse(await answer(routes.api.engineNames(ref)));
    expect(names).toEqual({ dictionary: ref, ...(await allFeatureNames(catalog.db, ref)) });
    const indices = [119, 3, 1, 64, 3, 500];
    expect(await answer(routes.api.traits({ dictionary: ref, indices: indices.join(",") }))).toEqual({
      items: await featureTraits(catalog.db, ref, indices),
    });
    expect(await answer(routes.api.engine(ref))).toBeNull();
  });

  it("has the home page, with searches that find in the copy what they say", async () => {
    const home = (await answer("/api/home")) as Home;
    expect(home.dictionaries).toEqual(await listDictionaries(catalog.db));
    expect(home.highlights.length).toBeGreaterThan(0);
    expect(home.examples.length).toBeGreaterThan(0);
    for (const { words, total } of home.examples) expect((await copied({ q: words })).total, words).toBe(total);
    expect(await answer("/api/stories")).toEqual({ items: home.stories });
  });

  it("has the pictures, their bytes and what fires on them", async () => {
    for (const q of ["", "red", "red circles", "a star", "the", "nothing"]) {
      let cursor: string | null = null;
      do {
        const mine = (await answer(routes.api.images({ q, limit: 7, cursor: cursor ?? undefined }))) as Awaited<
          ReturnType<typeof listImages>
        >;
        expect(mine, `${q} ${cursor}`).toEqual(await listImages(catalog.db, { q, limit: 7, cursor }));
        cursor = mine.next;
      } while (cursor);
    }
    const [first = "", second = ""] = copy.pictures;
    expect(await answer(routes.api.imageInfo(first))).toEqual(await findImageInfo(catalog.db, first));
    expect(new Uint8Array(await readFile(path.join(copy.dir, files.image(first))))).toEqual(
      new Uint8Array((await findImage(catalog.db, first)).bytes),
    );
    const post = (image: unknown) => ({ method: "POST", body: JSON.stringify({ dictionary: ref, image, limit: 512 }) });
    for (const sha256 of [first, second]) {
      expect(await answer(routes.api.analyse(), post({ sha256 }))).toEqual(await storedActivations(catalog.db, ref, sha256));
    }
    expect(await refusal(routes.api.analyse(), post({ sha256: "f".repeat(64) }))).toEqual(
      await refused(storedActivations(catalog.db, ref, "f".repeat(64))),
    );
  });

  it("has the pictures on which features fire in a region", async () => {
    const region = emptyRegion(12, 12);
    for (let y = 12; y < 30; y++) region.mask.fill(1, y * 48 + 10, y * 48 + 34);
    const code = encodeRegion(region);
    for (const [features, without] of [
      ["0", undefined],
      ["1,4,7", copy.pictures[3]],
      ["2,8,500", undefined],
    ] as const) {
      const given = { dictionary: ref, features, region: code, ...(without ? { without } : {}) };
      const theirs = await regionPictures(catalog.db, regionPicturesQuerySchema.parse(given));
      expect(await answer(routes.api.regionPictures(given))).toEqual(theirs);
      expect(theirs.total > 0 || features === "2,8,500").toBe(true);
    }
  });

  it("has the saved experiments, and their search", async () => {
    for (const q of ["", "lemons", "fruit table", "emon", "nothing at all", "colour"]) {
      const mine = await answer(routes.api.experiments({ q, limit: 2 }));
      expect(mine, q).toEqual(await listExperiments(catalog.db, { q, limit: 2, cursor: null }));
    }
    const { items, next } = await listExperiments(catalog.db, { limit: 2, cursor: null });
    expect(await answer(routes.api.experiments({ limit: 2, cursor: next ?? "" }))).toEqual(
      await listExperiments(catalog.db, { limit: 2, cursor: next }),
    );
    const id = items[0]?.id ?? "";
    expect(await answer(routes.api.experiment(id))).toEqual(JSON.parse(JSON.stringify(await findExperiment(catalog.db, id))));
    expect(await refusal(routes.api.experiment("aaaaaaaaaaaaaaaa"))).toEqual(await refused(findExperiment(catalog.db, "aaaaaaaaaaaaaaaa")));
  });

  it("says what a copy cannot do", async () => {
    const post = { method: "POST", body: "{}" };
    expect(await refusal(routes.api.experiments(), post)).toMatchObject({ code: "saving_off", message: expect.stringContaining("copy") });
    for (const url of [routes.api.steer(), routes.api.attribute()]) {
      expect(await refusal(url, post)).toMatchObject({ code: "engine_unavailable", message: expect.stringContaining("in this tab") });
    }
    expect(await refusal("/api/nothing")).toMatchObject({ code: "not_found" });
    expect(await refusal(routes.api.dictionaries(), post)).toMatchObject({ code: "method_not_allowed" });
  });

  it("is not written on after it was stopped", async () => {
    const dir = await mkdtemp(path.join(catalog.folder, "stopped-"));
    await expect(writeStaticData({ db: catalog.db, dir, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "cancelled" });
    expect(await readdir(dir)).toEqual([]);
  });

  it("says which file of a copy is missing", async () => {
    const broken = answerFrom(async (name) =>
      name.includes("/features/") ? null : JSON.parse(await readFile(path.join(copy.dir, name), "utf8")),
    );
    await expect(broken(routes.api.feature(ref, 3))).rejects.toMatchObject({
      code: "catalogue_unreachable",
      message: `The file ${files.feature(ref, 3)} of this copy is missing.`,
    });
  });
});
