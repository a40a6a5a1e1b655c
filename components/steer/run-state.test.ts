import { describe, expect, it } from "vitest";
import type { Arm, EngineEvent, Receipt } from "@/lib/core/protocol";
import { isActive, noRun, type RunAction, type RunState, runReducer, summarise, textOf } from "./run-state";

const engine = { name: "onnx", version: "1", dtype: "float32" };
const token = (arm: Arm, i: number, text: string): RunAction => ({
  type: "event",
  event: { type: "token", arm, i, id: i, text, logprob: -0.1, alternatives: [] },
});
const none = { planned: 0, changed: 0 };
const clamp: Receipt["clamps"][number] = {
  feature: 4,
  op: "set",
  value: 2,
  unit: "max",
  unitActivation: 3,
  scope: { type: "image" },
  image: { planned: 1, changed: 1 },
  prompt: none,
  generated: none,
  meanBefore: 0,
  meanAfter: 6,
};
const event = (e: EngineEvent): RunAction => ({ type: "event", event: e });
const receipt = (arm: Arm, text: string, over: Partial<Receipt> = {}): RunAction =>
  event({
    type: "receipt",
    receipt: {
      arm,
      outcome: arm === "steered" ? "steered" : "baseline",
      reason: null,
      text,
      finish: "stop",
      model: { id: "toy", sha256: "a".repeat(64) },
      dictionary: { id: "d", hook: "model.layers.1", sha256: "b".repeat(64) },
      prompt: { text: "", images: [] },
      mode: "delta",
      sampling: { maxTokens: 48, temperature: 0, topP: 1, seed: 0 },
      clamps: [clamp],
      prefill: { image: { planned: 1, changed: 1 }, text: { planned: 0, changed: 0 } },
      decode: { planned: 0, changed: 0 },
      relativeNorm: 0.5,
      tokens: 2,
      engine,
      timingsMs: { queued: 0, prefill: 1, decode: 1 },
      ...over,
    },
  });
const start: RunAction = { type: "start", key: "k", arms: ["steered", "baseline"], at: 7 };
const meta = event({
  type: "meta",
  arms: ["steered", "baseline"],
  prompt: { text: "what do you see ?", imageTokens: 144, textTokens: 6 },
  engine,
});
const run = (...actions: RunAction[]): RunState => [start, ...actions].reduce(runReducer, noRun);
const texts = (state: RunState) => state.arms.map(textOf);

describe("a run", () => {
  it("goes from waiting over the queue to done, keeping both arms apart", () => {
    const seen = [run(), run(event({ type: "queued", position: 2 })), run(meta), run(meta, token("steered", 0, "a"))];
    expect(seen.map((state) => state.status)).toEqual(["waiting", "queued", "running", "running"]);
    expect(seen[1]?.position).toBe(2);
    const state = run(
      meta,
      token("steered", 0, "a"),
      token("baseline", 0, "a"),
      token("steered", 1, " lemon"),
      token("baseline", 1, " dog"),
      receipt("steered", "a lemon"),
      receipt("baseline", "a dog"),
      event({ type: "done" }),
    );
    expect(state).toMatchObject({ status: "done", key: "k", startedAt: 7 });
    expect(texts(state)).toEqual(["a lemon", "a dog"]);
    expect(isActive(state)).toBe(false);
  });

  it("takes a repeated token once and never leaves a hole", () => {
    expect(texts(run(meta, token("steered", 0, "a"), token("steered", 0, "a"), token("steered", 5, " lemon")))).toEqual(["a lemon", ""]);
  });

  it("shows an arm that was not announced", () => {
    expect(run(meta, token("random", 0, "a")).arms.map((arm) => arm.arm)).toEqual(["steered", "baseline", "random"]);
  });

  it("keeps what came before a stop and ignores what comes after", () => {
    const stopped = run(meta, token("steered", 0, "a"), { type: "stop" }, token("steered", 1, " lemon"), event({ type: "done" }), {
      type: "end",
    });
    expect(stopped.status).toBe("stopped");
    expect(texts(stopped)).toEqual(["a", ""]);
    expect(summarise(stopped)).toBe("Stopped after 1 token.");
  });

  it("keeps what came before an error, and calls a stream without an end a failure", () => {
    const error = { code: "engine_failed", message: "The engine stopped.", fix: "Run again.", retry: true } as const;
    const failed = run(meta, token("steered", 0, "a"), event({ type: "error", error }));
    expect(failed).toMatchObject({ status: "failed", error });
    expect(texts(failed)[0]).toBe("a");
    expect(run(meta, { type: "end" })).toMatchObject({ status: "failed", error: { code: "engine_failed", retry: true } });
    expect(run(meta, event({ type: "done" }), { type: "end" }).status).toBe("done");
    expect(runReducer(noRun, { type: "fail", error })).toBe(noRun);
  });

  it("begins afresh", () => {
    const again = runReducer(run(meta, token("steered", 0, "a"), event({ type: "done" })), start);
    expect(texts(again)).toEqual(["", ""]);
  });
});

describe("the spoken summary", () => {
  const ended = (...actions: RunAction[]) => summarise(run(meta, ...actions, event({ type: "done" })));

  it("says each place in the line", () => {
    expect(summarise(run(event({ type: "queued", position: 2 })))).toBe("In the queue: 2 requests ahead.");
    expect(summarise(run(event({ type: "queued", position: 0 })))).toBe("Next in the queue.");
  });

  it("is silent while the answer comes", () => {
    expect(summarise(run(meta, token("steered", 0, "a")))).toBe("");
  });

  it("never calls an unchanged or unclamped answer steered", () => {
    const reason = "feature #4 was inactive wherever it was ablated";
    expect(ended(receipt("steered", "a dog", { outcome: "unchanged", reason }))).toBe(`Done. The clamps changed nothing: ${reason}.`);
    expect(ended(receipt("steered", "a dog", { outcome: "unchanged", clamps: [] }))).toBe(
      "Done, without a clamp. The model answers: a dog.",
    );
  });

  it("gives both answers where they differ, and says when they do not", () => {
    expect(ended(receipt("steered", "a lemon"), receipt("baseline", "a dog"))).toBe("Done. Steered: a lemon. Baseline: a dog.");
    expect(ended(receipt("steered", "a dog"), receipt("baseline", "a dog"))).toMatch(/answer is the same: a dog/);
  });
});
