import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "@/lib/catalog/db";
import { importBundle } from "@/lib/catalog/import-bundle";
import { writeTestBundle } from "@/lib/catalog/test-bundle";
import { openEmptyDatabase } from "@/lib/catalog/test-catalog";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { featuresAround } from "./features-around";
import { listFeatures } from "./list-features";

const ref = "test-model/model.layers.1";
let folder: string;
let db: Database;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "facet-around-"));
  await writeTestBundle(path.join(folder, "bundle"), { features: 30 });
  db = await openEmptyDatabase(path.join(folder, "images"));
  await importBundle(db, path.join(folder, "bundle"));
}, 60_000);

afterAll(async () => {
  await db?.close();
  await rm(folder, { recursive: true, force: true });
});

describe("featuresAround", () => {
  it.each([
    "",
    "sort=index",
    "sort=-index",
    "sort=-iou",
    "sort=iou",
    "sort=-images&concept=object",
    "sort=max_activation&dead=0",
    "q=things",
    "q=red&sort=-steer",
  ])("steps through the list %j in its own order", async (address) => {
    const query = { ...parseFeatureQuery(new URLSearchParams(address)), dictionary: ref };
    const { items, total } = await listFeatures(db, { ...query, limit: 100 });
    const order = items.map((item) => item.index);
    expect(order.length).toBeGreaterThan(1);
    for (const [place, index] of order.entries()) {
      expect(await featuresAround(db, query, index)).toEqual({ previous: order[place - 1] ?? null, next: order[place + 1] ?? null, total });
    }
  });

  it("knows when the list does not hold the feature", async () => {
    const query = { ...parseFeatureQuery({ dead: "0" }), dictionary: ref };
    const around = await featuresAround(db, query, 8);
    expect(around).toMatchObject({ previous: null, next: null });
    expect(around.total).toBeGreaterThan(0);
  });
});
