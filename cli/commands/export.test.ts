/** The command as people type it, in processes of its own. */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeTestBundle } from "@/lib/catalog/test-bundle";

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

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-export-"));
  await writeTestBundle(path.join(folder, "given"), { features: 400, images: 200 });
  expect(await facet(["import", path.join(folder, "given"), "--quiet"])).toMatchObject({ code: 0 });
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a refusal says; no other line, no stack. */
async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await facet(["export", ...args]);
  expect([code, stdout, stderr.split("\n").length, stderr.includes("    at ")], stderr).toEqual([1, "", 3, false]);
  return stderr;
}

it("refuses with a sentence and what to do, and leaves what is there", async () => {
  const mine = path.join(folder, "mine");
  await writeFile(mine, "mine");
  const out = path.join(folder, "never");
  expect(await refused(ref)).toContain("Nothing says where to.\nAdd --out FOLDER.");
  expect(await refused(ref, "--out", mine)).toContain(`${mine} is there already.`);
  expect(await refused(ref, "--out", mine, "--format", "csv")).toContain(`${mine} is there already.`);
  expect(await refused(ref, "--out", `${mine}/out`)).toContain("a part of that path is a file");
  expect(await refused(ref, "--out", folder)).toContain("is not empty");
  expect(await refused(ref, "--out", out, "--format", "pdf")).toContain("Choose among bundle, paper, neuronpedia, csv.");
  expect(await refused("test-model", "--out", out)).toContain('"test-model" does not name a dictionary');
  expect(await refused("no/such", "--out", out)).toContain('The catalogue has no dictionary "no/such".');
  expect(await refused(`${ref}@ffff`, "--out", out)).toMatch(/version|ffff/);
  expect(await refused(ref, ref, "--out", out)).toContain("is named twice");
  expect(await refused(ref, "--out", out, "--format", "csv", "--query", "sorted=index")).toContain('"sorted" is not a query key');
  expect(await refused(ref, "--out", out, "--query", "q=red")).toContain("--query narrows a list");
  expect(await readFile(mine, "utf8")).toBe("mine");
  expect((await readdir(folder)).sort()).toEqual(["data", "given", "mine"]);
}, 120_000);

it("stops at an interrupt, with nothing left behind", async () => {
  for (const format of ["bundle", "neuronpedia"]) {
    let interrupted = false;
    const { code, stderr } = await facet(["export", ref, "--format", format, "--out", path.join(folder, "stopped")], (child, text) => {
      if (interrupted || !/ of (200|400)/.test(text)) return;
      interrupted = child.kill("SIGINT");
    });
    expect([interrupted, code, stderr]).toEqual([
      true,
      1,
      "Stopping; once more ends at once.\nThe export was stopped. Nothing was written under that name.\nRun it again when ready.\n",
    ]);
    expect((await readdir(folder)).filter((name) => name.startsWith("stopped"))).toEqual([]);
  }
}, 60_000);

it("writes a list to a file or to whoever reads, who may leave early", async () => {
  const file = path.join(folder, "list.csv");
  const query = ["--format", "csv", "--query", `/d/${ref}?sort=-density&concept=object`];
  expect(await facet(["export", ref, ...query, "--out", file])).toMatchObject({ code: 0, stderr: "" });
  const whole = await facet(["export", ref, ...query]);
  expect(whole).toMatchObject({ code: 0, stderr: "" });
  expect(whole.stdout).toBe(await readFile(file, "utf8"));
  const left = await facet(["export", ref, "--format", "csv"], (child) => child.stdout?.destroy());
  expect(left).toMatchObject({ code: 0, stderr: "" });
}, 60_000);
