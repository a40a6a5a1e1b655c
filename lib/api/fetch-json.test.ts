import { afterEach, expect, it, vi } from "vitest";
import { z } from "zod";
import { fetchJson } from "./fetch-json";

afterEach(() => vi.unstubAllGlobals());

const schema = z.strictObject({ n: z.number() });
const answerWith = (respond: () => Promise<Response>) => vi.stubGlobal("fetch", respond);

it("gives the answer, checked", async () => {
  answerWith(async () => Response.json({ n: 1 }));
  expect(await fetchJson(schema, "/api/x")).toEqual({ n: 1 });
});

it("throws a sentence for every failure", async () => {
  answerWith(async () => Response.json({ error: { code: "engine_busy", message: "Busy.", fix: "Wait.", retry: true } }, { status: 503 }));
  await expect(fetchJson(schema, "/api/x")).rejects.toMatchObject({ code: "engine_busy", message: "Busy.", fix: "Wait.", retry: true });
  answerWith(async () => new Response("<html>", { status: 502 }));
  await expect(fetchJson(schema, "/api/x")).rejects.toMatchObject({ code: "internal", message: "The server answered with status 502." });
  answerWith(async () => Promise.reject(new TypeError("fetch failed")));
  await expect(fetchJson(schema, "/api/x")).rejects.toMatchObject({ code: "catalogue_unreachable" });
  for (const body of ['{"n":', '{"n":"one"}', "<html>"]) {
    answerWith(async () => new Response(body));
    await expect(fetchJson(schema, "/api/x")).rejects.toMatchObject({
      code: "internal",
      message: expect.stringContaining("not one of this"),
    });
  }
});

it("passes an abort on as it is", async () => {
  const stop = new AbortController();
  stop.abort();
  answerWith(async () => Promise.reject(stop.signal.reason));
  await expect(fetchJson(schema, "/api/x", { signal: stop.signal })).rejects.toMatchObject({ name: "AbortError" });
});
