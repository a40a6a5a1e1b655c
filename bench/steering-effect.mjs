/**
 * Whether clamps do what they say, counted where truth is known: over clean concept features of the demo's dictionaries, by block, scope, strength and mode, beside
 * controls (the tables of docs/steering.md are what it writes). Makes the catalogue's images and their codes first, once, in `--work`. About half an hour on two cores.
 * Run: node bench/steering-effect.mjs [--work DIR] [any option of `python -m demo.measure_steering`]
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { inRoot } from "../cli/setup/paths.mjs";
import { ensurePython, venvPython } from "../cli/setup/python.mjs";
import { assertNode, runMain, SetupError, step } from "../cli/setup/step.mjs";

/** @param {string[]} args */
function python(args) {
  const child = spawn(venvPython, args, { cwd: inRoot(), stdio: "inherit", env: { ...process.env, OMP_NUM_THREADS: "1" } });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) =>
      code === 0 ? resolve(undefined) : reject(new SetupError(`python ${args.slice(0, 3).join(" ")} ended with code ${code}.`)),
    );
  });
}

await runMain(async () => {
  assertNode();
  const args = process.argv.slice(2);
  const at = args.indexOf("--work");
  const work = path.resolve(at < 0 ? inRoot(".facet", "demo-work") : (args[at + 1] ?? ""));
  const rest = at < 0 ? args : args.filter((_, i) => i !== at && i !== at + 1);
  await step("python", ensurePython);
  for (const stage of ["images", "cache"]) {
    if (existsSync(path.join(work, `${stage}.done`))) continue;
    await python(["-m", "demo.recipe", "--work", work, "--out", "demo", "--stage", stage]);
  }
  await python(["-m", "demo.measure_steering", "--work", work, "--out", "demo", "--table", "docs/steering.md", ...rest]);
  return 0;
});
