import { expect, it } from "vitest";
import type { GenerateRequest, Receipt } from "@/lib/core/protocol";
import { panelOver } from "./steer-answers";

it.each([
  ["delta", "baseline"],
  ["reconstruct", "reconstruction"],
] as const)("asks the panel in mode %s, beside the %s, which is asked once", async (mode, plain) => {
  const asked: GenerateRequest[] = [];
  const panel = panelOver({
    stream: async function* (request) {
      asked.push(request);
      for (const arm of ["steered", ...request.controls]) {
        yield { type: "receipt", receipt: { arm, text: arm === "steered" ? "no" : `${arm} says` } as Receipt };
      }
    },
    dictionary: "m/d",
    version: undefined,
    mode,
    questions: [{ image: null, text: "how many ?" }],
    ask: (text) => [{ role: "user", content: [{ type: "text", text }] }],
  });
  const clamps = [{ feature: 3, op: "scale", value: 0, unit: "max", scope: { type: "all" } } as const];
  for (const controls of [[plain], []]) {
    const [outcome] = await panel([...clamps], new AbortController().signal);
    expect(outcome).toMatchObject({ before: `${plain} says`, after: "no" });
    expect(asked.at(-1)).toMatchObject({ mode, interventions: clamps, controls });
  }
});
