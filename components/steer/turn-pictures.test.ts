import { expect, it } from "vitest";
import type { LinkedClamp } from "@/lib/core/steer-link";
import { followPictures, picturesOf, withPicture } from "./turn-pictures";

const image = (letter: string) => ({ sha256: letter.repeat(64), upload: false });
const [a, b, c] = [image("a"), image("b"), image("c")];
const turns = (...images: (typeof a)[][]) => images.map((own, i) => ({ id: i + 1, images: own }));
const on = (place: number): LinkedClamp => ({
  feature: 1,
  op: "set",
  value: 1,
  unit: "max",
  scope: { type: "region", image: place, cells: [3] },
  muted: false,
  solo: false,
});
const places = (clamps: LinkedClamp[]) => clamps.map(({ scope }) => (scope.type === "region" ? scope.image : null));

it("counts the pictures over all turns", () => {
  expect(picturesOf(turns([a], [], [b, c])).map(({ turn, image }) => [turn, image.sha256[0]])).toEqual([
    [1, "a"],
    [3, "b"],
    [3, "c"],
  ]);
});

it("puts a picture over another or after the last, and none twice", () => {
  expect(withPicture([a], b, 0)).toEqual([b]);
  expect(withPicture([a], b, 1)).toEqual([a, b]);
  expect(withPicture([a, b], c, 0)).toEqual([c, b]);
  expect(withPicture([a, b], a, 2)).toEqual([a, b]);
  expect(withPicture([a], a, 0)).toEqual([a]);
});

it("lets painted cells go along with their picture", () => {
  expect(places(followPictures([on(0), on(1)], turns([a], [b]), turns([a, c], [b])))).toEqual([0, 2]);
  expect(places(followPictures([on(1)], turns([a, b]), turns([b])))).toEqual([0]);
  // The picture that was painted on is gone: the place stays, and the page says it where nothing is left there.
  expect(places(followPictures([on(1)], turns([a, b]), turns([a])))).toEqual([1]);
  expect(places(followPictures([on(0)], turns([a]), turns([b])))).toEqual([0]);
  const plain: LinkedClamp = { ...on(0), scope: { type: "image" } };
  expect(followPictures([plain], turns([a]), turns([]))[0]).toBe(plain);
});
