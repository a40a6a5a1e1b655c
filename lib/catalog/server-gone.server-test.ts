/** A server that ends the connection amid an import, as it does when it is stopped, crashes or can no longer write its log. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Database } from "./db";
import { listDictionaries } from "./dictionaries";
import { importBundle } from "./import-bundle";
import { writeTestBundle } from "./test-bundle";
import { openEmptyDatabase } from "./test-catalog";

let folder: string;
let db: Database;
const bundle = (name: string) => path.join(folder, name);
const images = () => path.join(folder, "images");
const files = async () => (await readdir(images(), { recursive: true })).filter((name) => /\/[0-9a-f]{64}$/.test(name)).length;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-gone-"));
  await writeTestBundle(bundle("old"), { features: 30, images: 8 });
  await writeTestBundle(bundle("changed"), { features: 60, images: 24, version: "2" });
  db = await openEmptyDatabase(images());
  await importBundle(db, bundle("old"));
});
afterAll(async () => {
  await db?.close();
  await rm(folder, { recursive: true, force: true });
});

const others =
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()";

it.each(["images", "features", "activations", "histograms"])("says so at the stage “%s”, with everything as it was", async (stage) => {
  let asked: Promise<unknown> | undefined;
  const onProgress = (progress: { stage: string }) => {
    if (progress.stage.startsWith(stage)) asked ??= db.rows(others);
  };
  await expect(importBundle(db, bundle("changed"), { onProgress })).rejects.toMatchObject({
    code: "catalogue_unreachable",
    message: "The database that DATABASE_URL names does not answer.",
    fix: expect.stringContaining("its log says why"),
  });
  await asked;
  const [dictionary] = await listDictionaries(db);
  expect(dictionary).toMatchObject({ numLatents: 30, versions: [expect.anything()] });
  expect(await db.rows("SELECT DISTINCT dictionary_id FROM feature")).toHaveLength(1);
  expect(await files()).toBe(8);
});

it("goes through when the server is there again", async () => {
  expect((await importBundle(db, bundle("changed"))).dictionaries[0]).toMatchObject({ outcome: "added" });
  expect(await files()).toBe(24);
});
