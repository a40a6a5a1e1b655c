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

describe("pictures", () => {
  const image = (letter: string) => ({ sha256: letter.repeat(64), upload: false });
  const put = (letter: string, at?: number): SteerAction => ({ type: "image-set", turn: firstTurn, image: image(letter), at });
  const shown = (state: SteerState) => state.turns.map((turn) => turn.images.map(({ sha256 }) => sha256[0]).join(""));
  const region = (place: number): SteerAction => add(1, { scope: { type: "region", image: place, cells: [3] } });
  const place = ({ clamps: [clamp] }: SteerState) => (clamp?.scope.type === "region" ? clamp.scope.image : null);

  it("are several in a turn and in later turns, never in an answer", () => {
    const state = run(put("a"), put("b", 1), put("c", 0), { type: "follow-up", answer: "a dog" });
    const [, answer, question] = state.turns.map((turn) => turn.id);
    const more = [answer, question].reduce(
      (s, turn) => steerReducer(s, { type: "image-set", turn: turn ?? -1, image: image("d"), at: 0 }),
      state,
    );
    expect(shown(more)).toEqual(["cb", "", "d"]);
    expect(decodeSteerLink(encodeSteerLink(toLink(more)))).toEqual(toLink(more));
    expect(codes({ ...more, clamps: [] })).toEqual(["prompt_empty"]);
  });

  it("take painted cells along, and say where none is left to lie on", () => {
    const state = run(put("a"), put("b", 1), region(1), { type: "text", turn: firstTurn, text: "What?" });
    expect(codes(state)).toEqual([]);
    const first = steerReducer(state, { type: "image-remove", turn: firstTurn, sha256: "a".repeat(64) });
    expect([place(first), ...codes(first)]).toEqual([0]);
    const second = steerReducer(state, { type: "image-remove", turn: firstTurn, sha256: "b".repeat(64) });
    expect(codes(second)).toEqual(["clamp_nowhere"]);
    expect(findProblems(second, () => true)[0]?.message).toMatch(/cells of picture 2, but there is 1 picture/);
  });
});

describe("a swap", () => {
  const cells: LinkedClamp["scope"] = { type: "region", image: 0, cells: [3, 4] };

  it("sets the feature and ablates the others in the same place, right after it", () => {
    const state = run(add(1, { op: "ablate", scope: cells }), add(2));
    const swapped = steerReducer(state, { type: "swap", id: idOf(state, 1), ablate: [7, 8] });
    expect(swapped.clamps.map(({ feature, op }) => [feature, op])).toEqual([
      [1, "set"],
      [7, "ablate"],
      [8, "ablate"],
      [2, "set"],
    ]);
    expect(swapped.clamps.slice(0, 3).map(({ scope }) => scope)).toEqual([cells, cells, cells]);
    expect(swapped.clamps[0]?.value).toBeGreaterThan(1);
    expect(new Set(swapped.clamps.map(({ id }) => id)).size).toBe(4);
    const away = steerReducer(swapped, { type: "clamps-remove", ids: swapped.clamps.slice(1, 3).map(({ id }) => id) });
    expect(features(away)).toEqual([1, 2]);
  });

  it("keeps a strength that sets already, and stays within the contract", () => {
    const kept = run(add(1, { value: 6 }));
    expect(steerReducer(kept, { type: "swap", id: idOf(kept, 1), ablate: [] }).clamps[0]?.value).toBe(6);
    const full = run(...Array.from({ length: limits.clamps - 1 }, (_, i) => add(i)));
    expect(steerReducer(full, { type: "swap", id: idOf(full, 0), ablate: [100, 101, 102] }).clamps).toHaveLength(limits.clamps);
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
