/** Conformance, third part: requests beside each other, in line, and left. */
import { expect, it } from "vitest";
import { expectSameLogits, type Factory, runAll } from "./conformance-checks";
import type { Known } from "./conformance-reports";

export function describeService(known: () => Known, factory: Factory): void {
  /** An answer of `n` tokens, whatever the model would write. */
  const forced = (n: number) => {
    const { words } = known();
    const answer = Array.from({ length: n }, (_, i) => words[i % words.length] as number);
    return { force: { steered: answer, baseline: answer } };
  };

  it("keeps two requests in flight apart", async () => {
    const { subject, active, request, mixture } = known();
    const one = request(mixture());
    const other = request([{ feature: active[4] as number, op: "set", value: -4, unit: "raw", scope: { type: "all" } }]);
    const alone = [await runAll(subject, one), await runAll(subject, other)];
    const together = await Promise.all([runAll(subject, one), runAll(subject, other)]);
    together.forEach((outcome, i) => {
      for (const arm of ["steered", "baseline"] as const)
        expectSameLogits(outcome.logits[arm], alone[i]?.logits[arm], factory.capabilities.exactBeside);
      expect(outcome.tokens).toEqual(alone[i]?.tokens);
    });
  });

  it("stops within one token of an abort, and serves the next", async () => {
    const { subject, request } = known();
    const leaving = new AbortController();
    let tokens = 0;
    const run = runAll(subject, request([], { sampling: { maxTokens: 64 }, controls: [] }), {
      signal: leaving.signal,
      tap: forced(64),
      onEvent: (event) => {
        if (event.type !== "token") return;
        tokens++;
        if (event.i === 2) leaving.abort();
      },
    });
    if (factory.capabilities.receiptsAfterAbort) {
      expect((await run).receipts.steered).toMatchObject({ finish: "cancelled", tokens });
    } else {
      await expect(run).rejects.toMatchObject({ code: "cancelled" });
    }
    expect(tokens).toBeLessThanOrEqual(4);
    expect((await runAll(subject, request())).events.at(-1)).toEqual({ type: "done" });
  });

  it("lets requests wait in line, tells their places, refuses beyond its bound and frees a leaver's place", async () => {
    const { request } = known();
    const small = await factory.create({ concurrency: 1, bound: 1 });
    const options = { signal: new AbortController().signal, resolveImage: small.resolveImage, unitOf: () => 1 };
    // Long enough to be there still when the others come.
    const long = request([], { sampling: { maxTokens: 250 } });
    const running = small.engine.generate(long, { ...options, tap: forced(250) })[Symbol.asyncIterator]();
    expect((await running.next()).value).toMatchObject({ type: "meta" });
    const waiting = small.engine.generate(request(), options)[Symbol.asyncIterator]();
    expect((await waiting.next()).value).toEqual({ type: "queued", position: 0 });
    await expect(runAll(small, request())).rejects.toMatchObject({ code: "engine_busy", retry: true });
    await running.return?.();
    expect((await waiting.next()).value).toMatchObject({ type: "meta" });
    await waiting.return?.();
    expect((await runAll(small, request())).events.at(-1)).toEqual({ type: "done" });
    await factory.destroy?.(small);
  });
}
