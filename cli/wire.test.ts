import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { generateRequestSchema } from "@/lib/core/protocol";
import { wireFiles } from "@/lib/core/worker-wire";
import { inRoot } from "./setup/paths.mjs";

it("is in the Python worker as lib/core has it (npm run wire)", () => {
  const folder = inRoot("worker", "facet_worker", "wire");
  const files = wireFiles();
  expect(readdirSync(folder).sort()).toEqual(Object.keys(files).sort());
  for (const [name, content] of Object.entries(files))
    expect(readFileSync(path.join(folder, name), "utf8"), name).toBe(`${JSON.stringify(content, null, 1)}\n`);
});

it("fills in and refuses what the worker does with its schema (test_schemas.py holds the worker to the same file)", () => {
  const file = inRoot("worker", "facet_worker", "serve", "fixtures", "requests.json");
  const { accepted, refused } = JSON.parse(readFileSync(file, "utf8")) as {
    accepted: { given: unknown; filled: unknown }[];
    refused: unknown[];
  };
  expect(accepted.length).toBeGreaterThan(4);
  for (const { given, filled } of accepted) expect(generateRequestSchema.parse(given)).toEqual(filled);
  for (const body of refused) expect(generateRequestSchema.safeParse(body).success, JSON.stringify(body)?.slice(0, 100)).toBe(false);
});
