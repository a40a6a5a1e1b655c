import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { PackageFile } from "@/lib/core/engine-package";
import { dropOlder, evictAll, keptBytes, loadFile, partBytes, recordNeeded, type StoreOptions, storedBytes } from "./file-store";

/** Two parts and a bit. */
const content = Uint8Array.from({ length: 2 * partBytes + 1000 }, (_, i) => (i * 31 + (i >> 8)) % 256);
const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const file: PackageFile = { path: "a/model.bin", bytes: content.length, sha256: hashOf(content) };

const origin = "http://localhost";
type Key = string | { url: string };
const pathOf = (key: Key) => (typeof key === "string" ? key : key.url.slice(origin.length));

/** As much of Cache Storage as is used. `full`: it refuses what is larger. */
class Shelf {
  readonly held = new Map<string, Uint8Array>();
  full = Number.POSITIVE_INFINITY;
  async match(key: Key) {
    const bytes = this.held.get(pathOf(key));
    return bytes && new Response(bytes.slice(), { headers: { "content-length": String(bytes.length) } });
  }
  async put(key: string, response: Response) {
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length > this.full) throw new DOMException("full", "QuotaExceededError");
    this.held.set(key, bytes);
  }
  delete = async (key: Key) => this.held.delete(pathOf(key));
  keys = async () => [...this.held.keys()].map((path) => ({ url: `${origin}${path}` }));
}

let shelf: Shelf;
let asked: string[];
/** How the server answers; null = as it should. */
let answer: ((range: string) => Response | null) | null;
const serve = (range: string, body: Uint8Array = content) => {
  const [, first, last] = /bytes=(\d+)-(\d+)/.exec(range) ?? [];
  return new Response(body.slice(Number(first), Number(last) + 1), { status: 206 });
};

beforeEach(() => {
  shelf = new Shelf();
  asked = [];
  answer = null;
  vi.stubGlobal("caches", { open: async () => shelf, delete: async () => shelf.held.clear() });
  vi.stubGlobal("fetch", async (_url: string, init: { headers: { range: string } }) => {
    asked.push(init.headers.range);
    return answer?.(init.headers.range) ?? serve(init.headers.range);
  });
});
afterEach(() => vi.unstubAllGlobals());

async function load(asked = file) {
  let loaded = 0;
  const unkept: string[] = [];
  const waits: boolean[] = [];
  const options: StoreOptions = {
    signal: new AbortController().signal,
    onBytes: (bytes) => (loaded += bytes),
    onUnkept: (_, why) => unkept.push(why),
    onWait: (waiting) => waits.push(waiting),
  };
  const outcome = await loadFile(asked, options).then(
    (bytes) => ({ sha256: hashOf(bytes) }),
    (error: { code: string; message: string; fix: string }) => ({ error }),
  );
  return { ...outcome, loaded, unkept, waits };
}
const right = { sha256: file.sha256, loaded: content.length };

it("fetches a file in parts once, keeps it whole under its hash, and has no more of it", async () => {
  expect(await load()).toMatchObject(right);
  expect(asked).toHaveLength(3);
  expect([...shelf.held.keys()]).toEqual([`/api/engine/files/${file.sha256}/model.bin`]);
  expect(await load()).toMatchObject(right);
  expect(asked).toHaveLength(3);
  expect([await keptBytes([file]), await storedBytes()]).toEqual([content.length, content.length]);
  await evictAll();
  expect([await keptBytes([file]), await storedBytes()]).toEqual([0, 0]);
});

it("goes on where a download broke off", async () => {
  answer = (range) => {
    if (asked.length === 2) throw new TypeError("network");
    return serve(range);
  };
  const broken = await load();
  expect(broken).toMatchObject({
    error: { code: "engine_unavailable", message: "The download of a/model.bin broke off." },
    loaded: partBytes,
  });
  answer = null;
  expect(await load()).toMatchObject(right);
  expect(asked).toEqual([
    `bytes=0-${partBytes - 1}`,
    ...Array(2).fill(`bytes=${partBytes}-${2 * partBytes - 1}`),
    `bytes=${2 * partBytes}-${content.length - 1}`,
  ]);
});

it("says which status a server answers that gives no file, and goes on later", async () => {
  answer = (range) => (asked.length === 2 ? new Response("busy", { status: 503 }) : serve(range));
  expect(await load()).toMatchObject({
    error: { code: "engine_unavailable", message: "The server did not give a/model.bin: it answered 503." },
    loaded: partBytes,
  });
  answer = null;
  expect(await load()).toMatchObject(right);
  expect(asked).toHaveLength(4);
});

it("drops the files and parts of an older export, and none that some dictionary needs or is fetching", async () => {
  const named = (digit: string): PackageFile => ({ ...file, sha256: digit.repeat(64) });
  const put = (key: string) => shelf.held.set(key, new Uint8Array(3));
  const whole = (digit: string) => `/api/engine/files/${digit.repeat(64)}/model.bin`;
  for (const key of [whole("a"), `${whole("a")}?from=0`, whole("b"), `${whole("c")}?from=0`]) put(key);
  await recordNeeded("m/one", [named("a"), named("b")]);
  await recordNeeded("m/two", [named("c")]);
  await dropOlder();
  expect(await keptBytes([named("a"), named("b")])).toBe(2 * content.length);
  expect(shelf.held.has(`${whole("c")}?from=0`)).toBe(true);
  await recordNeeded("m/one", [named("b"), named("d")]);
  await dropOlder();
  expect([...shelf.held.keys()].filter((key) => key.includes("/files/"))).toEqual([whole("b"), `${whole("c")}?from=0`]);
});

it("takes a part that is cut short for broken off", async () => {
  answer = (range) => (asked.length === 1 ? new Response(content.slice(0, 100), { status: 206 }) : serve(range));
  expect(await load()).toMatchObject({ error: { code: "engine_unavailable" }, loaded: 0 });
});

it("refuses a file that was changed on its way, keeps nothing of it, and fetches it anew", async () => {
  const changed = content.slice();
  changed[partBytes + 5] = (changed[partBytes + 5] ?? 0) ^ 1;
  answer = (range) => serve(range, changed);
  expect(await load()).toMatchObject({ error: { message: expect.stringContaining("arrived damaged") }, loaded: 0 });
  expect(shelf.held.size).toBe(0);
  answer = null;
  expect(await load()).toMatchObject(right);
});

it("does not use what was changed in the store", async () => {
  await load();
  const [key] = [...shelf.held.keys()];
  const kept = shelf.held.get(key as string) as Uint8Array;
  kept[7] = (kept[7] as number) ^ 255;
  expect(await load()).toMatchObject(right);
  expect(asked).toHaveLength(6);
});

it("takes the whole from a server that answers no ranges", async () => {
  answer = () => new Response(content.slice(), { status: 200 });
  expect(await load()).toMatchObject(right);
  expect(asked).toHaveLength(1);
});

it("uses a file that there is no room or no store to keep, and says which it is", async () => {
  shelf.full = partBytes;
  expect(await load()).toMatchObject({ ...right, unkept: ["full"] });
  vi.stubGlobal("caches", undefined);
  expect(await load()).toMatchObject({ ...right, unkept: ["none"] });
});

/** The locks of one browser, whose tabs are this test's calls. */
function locks() {
  const held = new Map<string, Promise<unknown>>();
  const request = async (name: string, options: { ifAvailable?: boolean }, work: (lock: object | null) => unknown) => {
    if (options.ifAvailable && held.has(name)) return work(null);
    while (held.has(name)) await held.get(name);
    const done = Promise.resolve(work({}));
    held.set(
      name,
      done.then(
        () => held.delete(name),
        () => held.delete(name),
      ),
    );
    return done;
  };
  return { request };
}

it("fetches a file once for two tabs: the second says that it waits, and takes what the first has kept", async () => {
  vi.stubGlobal("navigator", { locks: locks() });
  const both = await Promise.all([load(), load()]);
  expect(both).toMatchObject([
    { ...right, waits: [] },
    { ...right, waits: [true, false, false] },
  ]);
  expect(asked).toHaveLength(3);
});

it("goes on with the download where another tab gives the store back amid it", async () => {
  answer = (range) => {
    if (asked.length === 2) {
      shelf.held.clear();
      shelf.match = shelf.put = async () => {
        throw new DOMException("gone", "InvalidStateError");
      };
      shelf.delete = shelf.match as never;
    }
    return serve(range);
  };
  expect(await load()).toMatchObject({ ...right, unkept: ["full"] });
  expect(asked).toHaveLength(3);
});

it("takes a file that the memory does not hold for that, not for a download that broke off", async () => {
  expect(await load({ ...file, bytes: Number.MAX_SAFE_INTEGER })).toMatchObject({ error: { code: "engine_out_of_memory" } });
});

it("under a folder of a host, drops what is older of this copy, and nothing of another copy beside it", async () => {
  vi.stubEnv("NEXT_PUBLIC_FACET_BASE", "/some/path");
  vi.resetModules();
  const store = await import("./file-store");
  const whole = (base: string, digit: string) => `${base}/api/engine/files/${digit.repeat(64)}/model.bin`;
  const all = [whole("/some/path", "a"), whole("/some/path", "b"), whole("/other", "a"), whole("", "a")];
  for (const key of all) shelf.held.set(key, new Uint8Array(3));
  await store.recordNeeded("m/one", [{ ...file, sha256: "b".repeat(64) }]);
  await store.dropOlder();
  expect([...shelf.held.keys()].filter((key) => key.includes("/files/"))).toEqual(all.slice(1));
  vi.unstubAllEnvs();
});
