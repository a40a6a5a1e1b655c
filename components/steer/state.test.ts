import { describe, expect, it } from "vitest";
import { limits } from "@/lib/core/protocol";
import { decodeSteerLink, encodeSteerLink, type LinkedClamp } from "@/lib/core/steer-link";
import { emptyLink, findProblems, fromLink, type SteerAction, type SteerState, startingClamp, steerReducer, toLink } from "./state";

const sha = "a".repeat(64);
const start = fromLink(emptyLink("toy/model.layers.1", "0123456789ab"));
const run = (...actions: SteerAction[]) => actions.reduce(steerReducer, start);
const add = (feature: number, over: Partial<LinkedClamp> = {}): SteerAction => ({
  type: "clamp-add",
  clamp: { ...startingClamp(feature, 1), ...over },
});
const firstTurn = start.turns[0]?.id ?? -1;
const features = (state: SteerState) => state.clamps.map((clamp) => clamp.feature);
const idOf = (state: SteerState, feature: number) => state.clamps.find((clamp) => clamp.feature === feature)?.id ?? -1;
const codes = (state: SteerState, here = true) => findProblems(state, () => here).map((problem) => problem.code);

describe("the request in the making", () => {
  it("survives the link and back", () => {
    const state = run(
      { type: "image-set", turn: firstTurn, image: { sha256: sha, upload: true } },
      { type: "text", turn: firstTurn, text: "What do you see?" },
      { type: "follow-up", answer: "a lemon" },
      add(4),
      add(9, { op: "ablate", muted: true }),
      { type: "control", control: "random", on: true },
      { type: "sampling", patch: { temperature: 0.5 } },
    );
    const link = toLink(state);
    expect(decodeSteerLink(encodeSteerLink(link))).toEqual(link);
    expect(toLink(fromLink(link))).toEqual(link);
    expect(steerReducer(start, { type: "restore", link }).clamps.map((clamp) => clamp.id)).toHaveLength(2);
  });

  it("gives every turn and clamp its own id, also after a restore", () => {
    const state = run(add(1), { type: "follow-up", answer: "" }, add(2));
    const restored = steerReducer(steerReducer(state, { type: "restore", link: toLink(state) }), add(3));
    for (const s of [state, restored]) {
      const ids = [...s.turns, ...s.clamps].map((item) => item.id);
      expect(new Set(ids).size).toBe(ids.length);
    }
  });

  it("ends on the user's turn even when a link does not", () => {
    const link = {
      ...emptyLink("a/b", null),
      messages: [{ role: "assistant" as const, content: [{ type: "text" as const, text: "hi" }] }],
    };
    expect(fromLink(link).turns.map((turn) => turn.role)).toEqual(["assistant", "user"]);
  });

  it("shelves clamps with their dictionary and puts them back", () => {
    const away = steerReducer(run(add(1), add(2)), { type: "dictionary", ref: "toy/model.layers.2", version: null });
    expect(features(away)).toEqual([]);
    const back = steerReducer(steerReducer(away, add(7)), { type: "dictionary", ref: "toy/model.layers.1", version: "0123456789ab" });
    expect(features(back)).toEqual([1, 2]);
    expect(features(steerReducer(back, { type: "dictionary", ref: "toy/model.layers.2", version: null }))).toEqual([7]);
  });

  it("adds and removes whole exchanges, never the first turn", () => {
    const state = run({ type: "follow-up", answer: "one" }, { type: "follow-up", answer: "two" });
    expect(state.turns.map((turn) => turn.text)).toEqual(["", "one", "", "two", ""]);
    const fourth = state.turns[3]?.id ?? -1;
    const third = state.turns[2]?.id ?? -1;
    expect(steerReducer(state, { type: "exchange-remove", turn: fourth }).turns.map((turn) => turn.text)).toEqual(["", "one", ""]);
    expect(steerReducer(state, { type: "exchange-remove", turn: third }).turns.map((turn) => turn.text)).toEqual(["", "two", ""]);
    expect(steerReducer(state, { type: "exchange-remove", turn: firstTurn })).toBe(state);
  });

  it("reorders by one place and stops at the ends", () => {
    const state = run(add(1), add(2), add(3));
    expect(features(steerReducer(state, { type: "clamp-move", id: idOf(state, 3), by: -1 }))).toEqual([1, 3, 2]);
    expect(features(steerReducer(state, { type: "clamp-move", id: idOf(state, 1), by: 1 }))).toEqual([2, 1, 3]);
    expect(steerReducer(state, { type: "clamp-move", id: idOf(state, 1), by: -1 })).toBe(state);
    expect(steerReducer(state, { type: "clamp-move", id: idOf(state, 3), by: 1 })).toBe(state);
  });

  it("keeps strengths finite and within the contract", () => {
    const state = run(add(1, { value: 1e9 }));
    expect(state.clamps[0]?.value).toBe(limits.value);
    const change = (value: number) => steerReducer(state, { type: "clamp-change", id: idOf(state, 1), patch: { value } }).clamps[0]?.value;
    expect([change(-1e9), change(Number.NaN), change(0.5)]).toEqual([-limits.value, limits.value, 0.5]);
  });

  it("stops at the contract's number of clamps and of turns", () => {
    const crowded = run(...Array.from({ length: 200 }, (_, i) => add(i)));
    expect(crowded.clamps).toHaveLength(limits.clamps);
    const long = run(...Array.from({ length: 40 }, (): SteerAction => ({ type: "follow-up", answer: "" })));
    expect(long.turns.length).toBeLessThanOrEqual(limits.messages);
    expect(long.turns.at(-1)?.role).toBe("user");
  });

  it("unmutes what is made solo and keeps the controls in one order", () => {
    const state = run(
      add(1, { muted: true }),
      { type: "control", control: "random", on: true },
      { type: "control", control: "negated", on: true },
    );
    expect(steerReducer(state, { type: "clamp-change", id: idOf(state, 1), patch: { solo: true } }).clamps[0]).toMatchObject({
      solo: true,
      muted: false,
    });
    expect(state.controls).toEqual(["baseline", "negated", "random"]);
  });

  it("starts a word feature everywhere and a picture feature on the picture", () => {
    expect(startingClamp(1, 0.02).scope.type).toBe("all");
    expect(startingClamp(1, 0.9).scope.type).toBe("image");
    expect(startingClamp(1, null).scope.type).toBe("image");
  });
});

describe("what keeps a request from being run", () => {
  const picture: SteerAction = { type: "image-set", turn: firstTurn, image: { sha256: sha, upload: false } };
  const question: SteerAction = { type: "text", turn: firstTurn, text: "What do you see?" };

  it("is nothing when all is there", () => {
    expect(codes(run(picture, question, add(1)))).toEqual([]);
    expect(codes(run(question, add(1, { scope: { type: "all" } })))).toEqual([]);
  });

  it("is an empty question, a missing picture or upload", () => {
    expect(codes(run(picture, { type: "text", turn: firstTurn, text: "  " }))).toEqual(["prompt_empty"]);
    expect(codes(run(question, add(1)))).toEqual(["clamp_nowhere"]);
    expect(codes(run(question, add(1, { muted: true })))).toEqual([]);
    const uploaded = run(question, { type: "image-set", turn: firstTurn, image: { sha256: sha, upload: true } });
    expect(codes(uploaded, true)).toEqual([]);
    expect(codes(uploaded, false)).toEqual(["image_not_found"]);
  });

  it("is one feature clamped twice where scopes meet", () => {
    const region = (cells: number[]): Partial<LinkedClamp> => ({ scope: { type: "region", image: 0, cells } });
    expect(codes(run(picture, question, add(1), add(1)))).toEqual(["clamp_overlap"]);
    expect(codes(run(picture, question, add(1), add(1, { scope: { type: "generated" } })))).toEqual([]);
    expect(codes(run(picture, question, add(1), add(1, { scope: { type: "all" } })))).toEqual(["clamp_overlap"]);
    expect(codes(run(picture, question, add(1, region([1, 2])), add(1, region([3]))))).toEqual([]);
    expect(codes(run(picture, question, add(1, region([1, 2])), add(1, region([2]))))).toEqual(["clamp_overlap"]);
    expect(codes(run(picture, question, add(1, region([1])), add(1)))).toEqual(["clamp_overlap"]);
    expect(codes(run(picture, question, add(1), add(2)))).toEqual([]);
  });
});
