/** Two catalogues over one folder of pictures. */
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Database } from "./db";
import { checkSharing } from "./doctor";
import { dropDictionary } from "./drop-dictionary";
import { imagePath, missingImages, storedImages } from "./image-files";
import { otherCatalogues } from "./image-owners";
import { importBundle } from "./import-bundle";
import { writeTestBundle } from "./test-bundle";
import { openEmptyDatabase } from "./test-catalog";
import { WrittenImages } from "./written-images";

let folder: string;
let images: string;
let one: Database;
let two: Database;
let small: string;
let large: string;
const ref = "test-model/model.layers.1";

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-owners-"));
  images = path.join(folder, "images");
  [one, two] = [await openEmptyDatabase(images), await openEmptyDatabase(images)];
  [small, large] = [path.join(folder, "small"), path.join(folder, "large")];
  await writeTestBundle(small, { features: 20, images: 8 });
  await writeTestBundle(large, { features: 20, images: 16, version: "2" });
});
afterAll(async () => {
  await one?.close();
  await two?.close();
  await rm(folder, { recursive: true, force: true });
});

const pictures = async (db: Database) =>
  (await db.rows<{ sha256: string }>("SELECT sha256 FROM image ORDER BY sha256")).map((row) => row.sha256);
const listOf = async (db: Database) =>
  (await readFile(path.join(images, ".catalogues", await db.imageOwner()), "utf8")).split("\n").slice(0, -1);

it("lets a picture go only when the last catalogue that shows it lets go of it", async () => {
  await importBundle(one, small);
  await importBundle(two, large);
  expect(await listOf(one)).toEqual(await pictures(one));
  expect(await listOf(two)).toEqual(await pictures(two));
  const shown = (await pictures(one)).length;
  expect(await otherCatalogues(images, await one.imageOwner())).toHaveLength(1);

  const dropped = await dropDictionary(one, ref);
  expect(dropped.images).toBe(shown - dropped.shared);
  expect(dropped.shared).toBeGreaterThan(0);
  expect(await missingImages(two)).toBe(0);
  expect(await storedImages(images)).toEqual(new Set(await pictures(two)));
  expect(await listOf(one)).toEqual([]);

  expect(await dropDictionary(two, ref)).toMatchObject({ images: 16, shared: 0 });
  expect((await storedImages(images)).size).toBe(0);
});

it("leaves another's pictures when an import fails that wrote them first", async () => {
  const failing = new WrittenImages(images, await one.imageOwner());
  await importBundle(two, large);
  const [hash = ""] = await pictures(two);
  const bytes = await readFile(imagePath(images, hash));
  await failing.own([hash, "f".repeat(64)]);
  await failing.write(hash, bytes);
  await failing.write("f".repeat(64), bytes);
  expect(await listOf(one)).toEqual([hash, "f".repeat(64)]);
  await failing.takeBack();
  expect(await storedImages(images)).toEqual(new Set(await pictures(two)));
  expect(await listOf(one)).toEqual([]);
});

it("sweeps what an import that was killed wrote, whole and half, and nothing of a living one into another catalogue", async () => {
  const [killed, living, half] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];
  const note = (owner: string) => path.join(images, `.import-${owner}-0`);
  const kept = (await pictures(two))[0] ?? "";
  await appendFile(note(await two.imageOwner()), `${killed}\n${kept}\n${half}\n`);
  await appendFile(note(await one.imageOwner()), `${living}\n`);
  for (const hash of [killed, living, `${half}.12345678`]) {
    await mkdir(path.join(images, hash.slice(0, 2)), { recursive: true });
    await writeFile(imagePath(images, hash), "bytes");
  }
  await importBundle(two, small);
  const files = (await readdir(images, { recursive: true })).map((name) => path.basename(name));
  expect(files).toContain(kept);
  expect(files).toContain(living);
  expect(files).not.toContain(killed);
  expect(files.filter((name) => name.startsWith(half))).toEqual([]);
  expect(files.filter((name) => name.startsWith(".import-"))).toEqual([path.basename(note(await one.imageOwner()))]);
  expect(await listOf(two)).toEqual(await pictures(two));
});

it("has the doctor tell whose else the folder is", async () => {
  const [finding, ...more] = await checkSharing(one);
  expect(more).toEqual([]);
  expect(finding).toMatchObject({ ok: true, what: expect.stringContaining(path.join(images, ".catalogues", await two.imageOwner())) });
  await rm(path.join(images, ".catalogues", await two.imageOwner()));
  expect(await checkSharing(one)).toEqual([]);
});
