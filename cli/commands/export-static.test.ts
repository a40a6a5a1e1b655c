import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { exportStatic, isAsked, withPolicy } from "./export-static";

it("gives a page a policy that its own inline scripts pass, before anything else in it, and no other script", () => {
  const page = withPolicy(
    '<html><head><script src="/theme.js"></script></head><body><script>one()</script><script async="">two()</script></body></html>',
  );
  const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  expect(page).toMatch(/^<html><head><meta http-equiv="Content-Security-Policy"/);
  const [, scripts] = /script-src ([^;]*);/.exec(page) ?? [];
  expect(scripts?.split(" ")).toEqual(["'self'", hash("one()"), hash("two()")]);
});

it("refuses a folder that holds something else, and leaves it as it is", async () => {
  const out = await mkdtemp(path.join(tmpdir(), "facet-copy-"));
  await writeFile(path.join(out, "thesis.txt"), "mine");
  await expect(exportStatic({ pages: "site/out", out })).rejects.toMatchObject({
    code: "invalid_request",
    fix: expect.stringContaining("--out"),
  });
  expect(await readdir(out)).toEqual(["thesis.txt"]);
  expect(await readFile(path.join(out, "thesis.txt"), "utf8")).toBe("mine");
});

it("leaves out the source of the tab's worker, which no page asks for, and nothing else", () => {
  expect(isAsked("site/out/_next/static/media/tab-worker.1q05cxtri0swz.ts")).toBe(false);
  expect(isAsked("site/out/_next/static/media/ort.wasm.min.3-4fz0f8fhhu1.mjs")).toBe(true);
  expect(isAsked("site/out/_next/static/chunks/1uarp8g7vfgxo.js")).toBe(true);
});
