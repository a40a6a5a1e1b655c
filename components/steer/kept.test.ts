import { expect, it } from "vitest";
import { findDraft, findRun, findWords, keepDraft, keepRun, keepWords } from "./kept";
import { noRun } from "./run-state";

function memoryStore(room = Number.POSITIVE_INFINITY) {
  const items = new Map<string, string>();
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => {
      if (value.length > room) throw new DOMException("full", "QuotaExceededError");
      items.set(key, value);
    },
  };
}

it("gives back the draft and the answers of a request", () => {
  const store = memoryStore();
  expect([findDraft(store), findRun("a", store)]).toEqual([null, null]);
  keepDraft("1.x", store);
  keepRun({ ...noRun, key: "a", status: "done" }, store);
  keepRun({ ...noRun, key: "a", status: "stopped" }, store);
  expect(findDraft(store)).toBe("1.x");
  expect(findRun("a", store)?.status).toBe("stopped");
});

it("drops the oldest answers, and more of them when there is no room", () => {
  const store = memoryStore();
  for (let i = 0; i < 30; i++) keepRun({ ...noRun, key: `${i}` }, store);
  expect([findRun("29", store)?.key, findRun("0", store)]).toEqual(["29", null]);
  const tight = memoryStore(JSON.stringify([noRun, noRun]).length + 10);
  for (let i = 0; i < 9; i++) keepRun({ ...noRun, key: `${i}` }, tight);
  expect(findRun("8", tight)?.key).toBe("8");
  const none = memoryStore(0);
  keepRun(noRun, none);
  keepDraft("1.x", none);
  expect(findRun("", none)).toBeNull();
});

it("takes a store that someone else wrote as empty", () => {
  const store = memoryStore();
  store.setItem("facet-steer-runs", "{not json");
  expect(findRun("a", store)).toBeNull();
});

it("gives back the words typed to save a run with, to that run alone, and stands a full or foreign store", () => {
  const store = memoryStore();
  expect(findWords("a", store)).toEqual({ title: "", note: "" });
  keepWords("a", { title: "T", note: "N" }, store);
  expect([findWords("a", store), findWords("b", store)]).toEqual([
    { title: "T", note: "N" },
    { title: "", note: "" },
  ]);
  store.setItem("facet-steer-save", "{");
  expect(findWords("a", store).title).toBe("");
  keepWords("a", { title: "T", note: "" }, memoryStore(0));
});
