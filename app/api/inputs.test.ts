/** Every endpoint takes its input through the checked readers of _lib/handler and lib/api/read-json, and in no other way. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const folder = path.join(process.cwd(), "app", "api");
const routes = (readdirSync(folder, { recursive: true }) as string[])
  .filter((file) => path.basename(file) === "route.ts")
  .map((file) => ({ file: file.split(path.sep).join("/"), text: readFileSync(path.join(folder, file), "utf8") }));
/** Reads the input of the routes that stream from an engine. */
const engineStream = readFileSync(path.join(folder, "_lib", "engine-stream.ts"), "utf8");

describe("input", () => {
  it("is looked for in every endpoint", () => {
    expect(routes.length).toBeGreaterThanOrEqual(11);
  });

  // The last resort under /api only names the path that it does not know.
  it.each(routes.filter(({ file }) => file !== "[...path]/route.ts"))("of $file passes a schema and a limit", ({ file, text: own }) => {
    const text = /\bstreamFromEngine\(request, \w+Schema,/.test(own) ? own + engineStream : own;
    const methods = [...text.matchAll(/export (?:async )?(?:function|const) (GET|POST|PUT|PATCH|DELETE)\b/g)].map(([, method]) => method);
    expect(methods.length).toBeGreaterThan(0);
    expect(text, "query keys").toMatch(/\bparse(Query|FeatureQuery)\(/);
    if (file.includes("[")) expect(text, "parts of the path").toMatch(/\bparseInput\(/);
    if (methods.some((method) => method !== "GET")) expect(text, "the body").toMatch(/\breadJson\([^)]*\b(max\w+Bytes|limits\.\w+Bytes)\)/);
    expect(text, "a body read without a limit").not.toMatch(/request\.(json|text|formData|arrayBuffer|blob|body)\b/);
  });
});
