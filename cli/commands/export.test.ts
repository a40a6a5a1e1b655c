/** The command as people type it: what interrupts it in processes of its own, the rest in this one. */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { writeTestBundle } from "@/lib/catalog/test-bundle";
import { FacetError } from "@/lib/core/errors";
import type { ExportCommandOptions } from "./export";

const ref = "test-model/model.layers.1";
let folder: string;

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `facet`; `onOutput` may interrupt it. */
function facet(args: string[], onOutput?: (child: ReturnType<typeof spawn>, text: string) => void): Promise<Ended> {
  const child = spawn(process.execPath, ["--import", "tsx", path.resolve("cli/facet.ts"), ...args], {
    env: { ...process.env, FACET_DATA_DIR: path.join(folder, "data"), DATABASE_URL: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk: Buffer) => {
      said[name] += chunk;
      onOutput?.(child, said[name]);
    });
  }
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, ...said })));
}

let command: typeof import("./export");
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-export-"));
  const dataDir = path.join(folder, "data");
  // The environment is read once, when it is first asked.
  vi.stubEnv("FACET_DATA_DIR", dataDir);
  vi.stubEnv("DATABASE_URL", "");
  const { openDatabase } = await import("@/lib/catalog/db");
  const { importBundle } = await import("@/lib/catalog/import-bundle");
  command = await import("./export");
  await writeTestBundle(path.join(folder, "given"), { features: 400, images: 200 });
  const db = await openDatabase({ dataDir });
  await importBundle(db, path.join(folder, "given"));
  await db.close();
}, 300_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** What a refusal says. */
async function refused(refs: string[], options: Partial<ExportCommandOptions>): Promise<string> {
  const error = await command.exportCommand(refs, { format: "bundle", ...options }).then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(FacetError);
  const { message, fix } = error as FacetError;
  return `${message}\n${fix}`;
}

it("refuses with a sentence and what to do, and leaves what is there", async () => {
  const mine = path.join(folder, "mine");
  await writeFile(mine, "mine");
  const out = path.join(folder, "never");
  expect(await refused([ref], {})).toBe("Nothing says where to.\nAdd --out FOLDER.");
  expect(await refused([ref], { out: mine })).toContain(`${mine} is there already.`);
  expect(await refused([ref], { out: mine, format: "csv" })).toContain(`${mine} is there already.`);
  expect(await refused([ref], { out: `${mine}/out` })).toContain("a part of that path is a file");
  expect(await refused([ref], { out: folder })).toContain("is not empty");
  expect(await refused([ref], { out, format: "pdf" })).toContain("Choose among bundle, paper, neuronpedia, csv.");
  expect(await refused(["test-model"], { out })).toContain('"test-model" does not name a dictionary');
  expect(await refused([ref, ref], { format: "csv" })).toContain("A list is of one dictionary.");
  expect(await refused([ref], { out, query: "q=red" })).toContain("--query narrows a list");
  expect(await refused(["no/such"], { out })).toContain('The catalogue has no dictionary "no/such".');
  expect(await refused([`${ref}@ffff`], { out })).toContain("ffff");
  expect(await refused([ref, ref], { out })).toContain("is named twice");
  expect(await refused([ref], { out, format: "csv", query: "sorted=index" })).toContain('"sorted" is not a query key');
  expect(await readFile(mine, "utf8")).toBe("mine");
  expect((await readdir(folder)).sort()).toEqual(["data", "given", "mine"]);
}, 120_000);

it("says a refusal on two lines, without a stack", async () => {
  const { code, stdout, stderr } = await facet(["export", ref]);
  expect([code, stdout, stderr]).toEqual([1, "", "Nothing says where to.\nAdd --out FOLDER.\n"]);
}, 60_000);

it("stops at an interrupt, with nothing left behind", async () => {
  for (const format of ["bundle", "neuronpedia"]) {
    let interrupted = false;
    const { code, stderr } = await facet(["export", ref, "--format", format, "--out", path.join(folder, "stopped")], (child, text) => {
      if (interrupted || !/ of (200|400)/.test(text)) return;
      interrupted = child.kill("SIGINT");
    });
    expect([interrupted, code, stderr]).toEqual([
      true,
      130,
      "Stopping; once more ends at once.\nThe export was stopped. Nothing was written under that name.\nRun it again when ready.\n",
    ]);
    expect((await readdir(folder)).filter((name) => name.startsWith("stopped"))).toEqual([]);
  }
}, 240_000);

it("writes a list to a file or to whoever reads, who may leave early", async () => {
  const file = path.join(folder, "list.csv");
  const query = `/d/${ref}?sort=-density&concept=object`;
  await command.exportCommand([ref], { format: "csv", query, out: file });
  const whole = await facet(["export", ref, "--format", "csv", "--query", query]);
  expect(whole).toMatchObject({ code: 0, stderr: "" });
  expect(whole.stdout).toBe(await readFile(file, "utf8"));
  const left = await facet(["export", ref, "--format", "csv"], (child) => child.stdout?.destroy());
  expect(left).toMatchObject({ code: 0, stderr: "" });
}, 240_000);

it("writes an older version's list in that version's own order", async () => {
  const { openDatabase } = await import("@/lib/catalog/db");
  const { importBundle } = await import("@/lib/catalog/import-bundle");
  const bundle = path.join(folder, "unscored");
  await writeTestBundle(bundle, { features: 20, images: 8, version: "2", edit: (tables) => tables.scores?.splice(0) });
  const db = await openDatabase({ dataDir: path.join(folder, "data") });
  const before = (await importBundle(db, bundle)).dictionaries[0]?.beside[0]?.slice(0, 12);
  await db.close();
  const written = async (name: string, query?: string) => {
    const out = path.join(folder, `${name}.csv`);
    await command.exportCommand([name === "latest" ? ref : `${ref}@${before}`], { format: "csv", query, out });
    return readFile(out, "utf8");
  };
  expect(await written("older")).toBe(await written("sorted", "sort=-steer"));
  expect((await written("latest")).split("\r\n")[1]).toMatch(/^0,/);
}, 240_000);
