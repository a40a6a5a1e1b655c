import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { wireFiles } from "@/lib/core/worker-wire";
import { inRoot } from "./setup/paths.mjs";

it("is in the Python worker as lib/core has it (npm run wire)", () => {
  const folder = inRoot("worker", "facet_worker", "wire");
  const files = wireFiles();
  expect(readdirSync(folder).sort()).toEqual(Object.keys(files).sort());
  for (const [name, content] of Object.entries(files))
    expect(readFileSync(path.join(folder, name), "utf8"), name).toBe(`${JSON.stringify(content, null, 1)}\n`);
});

it("fills in what a request leaves out, in the schema as in the parser", () => {
  const { properties } = wireFiles()["generate-request.schema.json"] as { properties: Record<string, { default?: unknown }> };
  expect(properties.sampling?.default).toEqual({ maxTokens: 48, temperature: 0, topP: 1, seed: 0 });
  expect(properties.controls?.default).toEqual(["baseline"]);
});
