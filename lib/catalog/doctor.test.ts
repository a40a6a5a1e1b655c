import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { openDatabase } from "./db";
import { diagnose, versionFinding } from "./doctor";
import { takeLock } from "./lock";

const folder = mkdtemp(path.join(tmpdir(), "facet-doctor-"));
afterAll(async () => rm(await folder, { recursive: true, force: true }));

const said = (findings: Awaited<ReturnType<typeof diagnose>>) => findings.map(({ ok, what }) => `${ok ? "ok" : "wrong"}: ${what}`);

it("says what a fresh catalogue lacks", async () => {
  const dataDir = path.join(await folder, "fresh");
  const findings = await diagnose({ dataDir });
  expect(said(findings)).toEqual([
    "ok: The embedded catalogue opens.",
    expect.stringMatching(/^ok: PostgreSQL \d+/),
    expect.stringMatching(/^wrong: The extension vector is not created/),
    expect.stringMatching(/^wrong: The extension pg_trgm is not created/),
    expect.stringMatching(/^ok: The role postgres may create/),
    expect.stringMatching(/^wrong: \d migrations are pending: \d+_catalogue, \d+_other_formats/),
  ]);
  for (const finding of findings) expect(finding.fix === null).toBe(finding.ok);
  await (await openDatabase({ dataDir })).close();
  expect(said(await diagnose({ dataDir })).slice(-3)).toEqual([
    "ok: The tables are this version's.",
    "wrong: The catalogue is empty.",
    "ok: All 0 image files are there.",
  ]);
}, 120_000);

it("says when another process has the catalogue", async () => {
  const dataDir = path.join(await folder, "held");
  const lock = takeLock(path.join(dataDir, "catalogue.lock"));
  expect(said(await diagnose({ dataDir }))).toEqual([expect.stringMatching(/wrong: .* is open in another Facet process/)]);
  lock.release();
});

it("says when no server answers", async () => {
  // A port that was free a moment ago.
  const server = createServer().listen(0, "127.0.0.1");
  const port = await new Promise<number>((resolve) => server.once("listening", () => resolve((server.address() as { port: number }).port)));
  await new Promise((resolve) => server.close(resolve));
  const findings = await diagnose({ databaseUrl: `postgres://nobody:x@127.0.0.1:${port}/none` });
  expect(said(findings)).toEqual([expect.stringMatching(/wrong: The database that DATABASE_URL names does not answer/)]);
  expect(findings[0]?.fix).toMatch(/Start the server/);
});

it("says that a server is too old", () => {
  expect(versionFinding(150_018, "15.18")).toMatchObject({
    ok: false,
    what: "PostgreSQL 15.18 is too old.",
    fix: "Use PostgreSQL 16 or later.",
  });
  expect(versionFinding(160_000, "16.0").ok).toBe(true);
});
