import { afterAll, beforeAll, expect, it } from "vitest";
import { errorBodySchema } from "@/lib/api/fetch-json";
import { type RegionPictures, regionPicturesSchema } from "@/lib/api/region-pictures";
import type { Database } from "@/lib/catalog/db";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { cellsBox, emptyRegion, encodeRegion, paintShape } from "@/lib/core/region";
import { routes } from "@/lib/core/routes";
import { encodeBytes } from "@/lib/core/sparse-map";
import { GET, POST } from "./route";

const dictionary = "test-model/model.layers.1";
let catalog: TestCatalog;
let pictures: string[] = [];
const holder = globalThis as typeof globalThis & { __facetDatabase?: Promise<Database> };

/** Two features over 12 × 12 cells on four pictures: 3 fires in the upper left, upper left and lower right; 5 in the upper left once, weakly. */
const examples: [index: number, band: string, rank: number, picture: number, map: Record<number, number>][] = [
  [3, "top", 0, 0, { 0: 8, 1: 8 }],
  [3, "top", 1, 1, { 0: 4 }],
  [3, "top", 2, 2, { 143: 6 }],
  [3, "random", 0, 1, { 0: 4 }],
  [5, "top", 0, 1, { 1: 2, 143: 4 }],
  [5, "top", 1, 3, { 100: 4 }],
];

beforeAll(async () => {
  catalog = await openTestCatalog();
  holder.__facetDatabase = Promise.resolve(catalog.db);
  await catalog.add({
    features: 12,
    images: 6,
    edit: (tables) => {
      pictures = (tables.images ?? []).map((row) => row.sha256 as string);
      const kept = (tables.activations ?? []).filter((row) => row.index !== 3 && row.index !== 5);
      for (const [index, band, rank, picture, map] of examples) {
        const values = Object.values(map);
        const common = { rows: 12, cols: 12, peak: Math.max(...values), mean: values.reduce((a, b) => a + b, 0) / 144, text: null };
        const encoded = encodeBytes({ positions: Uint16Array.from(Object.keys(map), Number), values: Float32Array.from(values) });
        kept.push({ index, band, rank, image: pictures[picture], ...common, ...encoded });
      }
      tables.activations?.splice(0, Number.POSITIVE_INFINITY, ...kept);
      for (const row of tables.features ?? []) if (row.index === 3 || row.index === 5) row.max_activation = row.index === 3 ? 8 : 4;
    },
  });
}, 120_000);
afterAll(async () => {
  holder.__facetDatabase = undefined;
  await catalog?.close();
});

const upperLeft = encodeRegion(paintShape(emptyRegion(12, 12), cellsBox(0, 1, 12)));
const ask = (params: Record<string, string | number>) =>
  GET(new Request(`http://127.0.0.1${routes.api.regionPictures({ dictionary, features: "3,5", region: upperLeft, ...params })}`));
const found = async (params: Record<string, string | number> = {}): Promise<RegionPictures> =>
  regionPicturesSchema.parse(await (await ask(params)).json());

it("finds the pictures on which the features fire in the region, the fullest first, with their maps", async () => {
  const { items, total, examined } = await found();
  // Picture 0: 3 at its maximum over the region, half of two features; picture 1: (2 / 8 + 1 / 4) / 2. The example in two bands counts once.
  expect(items.map(({ image, score }) => [pictures.indexOf(image), score])).toEqual([
    [0, 0.5],
    [1, 0.25],
  ]);
  expect({ total, examined }).toEqual({ total: 2, examined: { examples: 5, pictures: 4, catalogue: pictures.length } });
  expect(items[1]?.features.map(({ index, inside, outside }) => [index, inside, outside])).toEqual([
    [3, 2, 0],
    [5, 1, 4 / 142],
  ]);
  expect(items[0]?.features[0]).toMatchObject({ rows: 12, cols: 12, peak: 8, map: { p: "AAABAA==" } });
  expect(items[0]?.caption).toMatch(/^a /);
});

it("leaves the painted picture out, keeps to the limit, and looks where it is told, on a grid of another fineness too", async () => {
  expect((await found({ without: pictures[0] as string })).items.map(({ image }) => pictures.indexOf(image))).toEqual([1]);
  expect((await found({ limit: 1 })).items).toHaveLength(1);
  expect((await found({ limit: 1 })).total).toBe(2);
  // The last of 6 × 6 cells: 3 there on picture 2 and 5 on picture 1, over four of the maps' cells.
  const lowerRight = encodeRegion(paintShape(emptyRegion(6, 6), cellsBox(35, 35, 6)));
  expect((await found({ region: lowerRight })).items.map(({ image, score }) => [pictures.indexOf(image), score])).toEqual([
    [1, 1 / 4 / 2],
    [2, 6 / 4 / 8 / 2],
  ]);
  expect((await found({ features: 8 })).items).toEqual([]);
});

it("refuses what is no region, too many features and unknown dictionaries, and is only read", async () => {
  const refused = async (answer: Promise<Response>) => {
    const response = await answer;
    const { code, message } = errorBodySchema.parse(await response.json()).error;
    return `${response.status} ${code}: ${message}`;
  };
  expect(await refused(ask({ region: "12x12.9" }))).toMatch(/^400 invalid_request: The field region does not fit \(not a region's code/);
  expect(await refused(ask({ region: "1".repeat(4_001) }))).toMatch(/^400 invalid_request: The field region/);
  expect(await refused(ask({ features: Array.from({ length: 17 }, (_, i) => i).join(",") }))).toMatch(/at most 16 features/);
  expect(await refused(ask({ features: "3,x" }))).toMatch(/^400 invalid_request: The field features/);
  expect(await refused(ask({ without: "0" }))).toMatch(/^400 invalid_request: The field without/);
  expect(await refused(ask({ dictionary: "no/such" }))).toMatch(/^404 dictionary_not_found/);
  expect(await refused(ask({ place: "there" }))).toMatch(/^400 unknown_query_key/);
  expect(await refused(Promise.resolve(POST(new Request("http://127.0.0.1/api/region-pictures", { method: "POST" }))))).toMatch(/^405/);
});
