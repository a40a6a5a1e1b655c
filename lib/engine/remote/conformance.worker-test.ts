/** The suite that every engine is held to, over a real worker that serves the demo's checkpoint. */
import path from "node:path";
import { type RunningWorker, startWorker } from "@/lib/workers/start-worker";
import { Worker } from "@/lib/workers/worker";
import { describeEngine } from "../conformance";
import type { EngineUnderTest } from "../conformance-checks";
import { folder, localSubject, manifestOf } from "../conformance-subject";
import { RemoteEngine } from "./remote-engine";

const patience = { connectMs: 3_000, infoMs: 20_000, runMs: 60_000, freshMs: 5_000, retryMs: 0 };
const running = new Map<EngineUnderTest, RunningWorker>();

async function create({ concurrency, bound }: { concurrency: number; bound: number }): Promise<EngineUnderTest> {
  const { model, dictionaries } = await manifestOf();
  const [dictionary] = dictionaries;
  if (!dictionary) throw new Error("engine.json names no dictionary.");
  const worker = await startWorker({
    model: folder,
    modelId: model.id,
    dictionaries: [path.join(folder, dictionary.folder)],
    more: ["--taps", "--concurrency", String(concurrency), "--queue", String(bound)],
  });
  const local = await localSubject({ concurrency: 1, bound: 1 });
  const engine = new RemoteEngine(new Worker({ url: new URL(worker.url), token: undefined }, patience), local.dictionary);
  const subject = { ...local, engine };
  running.set(subject, worker);
  return subject;
}

describeEngine("remote", {
  capabilities: { tapWrites: false, exactBeside: false, exactLogprobs: false, receiptsAfterAbort: false, attributes: true },
  create,
  destroy: async (subject) => running.get(subject)?.stop(),
});
