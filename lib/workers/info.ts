/** `GET /info`: what a worker says of itself. */
import { z } from "zod";
import { FacetError } from "@/lib/core/errors";
import { dictionaryRefSchema, modeSchema, sha256Schema } from "@/lib/core/protocol";
import { wireProtocol } from "@/lib/core/worker-wire";

const count = z.number().int().min(0);

/** One dictionary that a worker serves: `EngineInfo` of lib/engine/engine.ts. */
export const servedSchema = z.object({
  name: z.string(),
  version: z.string(),
  dtype: z.string(),
  model: z.object({
    id: z.string(),
    name: z.string(),
    sha256: sha256Schema,
    imageSize: count,
    grid: z.object({ rows: count, cols: count }),
  }),
  dictionary: z.object({
    ref: dictionaryRefSchema,
    id: z.string(),
    hook: z.string(),
    layer: count,
    sha256: sha256Schema,
    numLatents: z.number().int().min(1),
    width: z.number().int().min(1),
    k: count,
  }),
  maxPositions: count,
  modes: z.array(modeSchema),
});
export type Served = z.infer<typeof servedSchema>;

/** Further keys are left aside, so that a worker may say more than this server knows. */
export const workerInfoSchema = z.object({
  protocol: z.literal(wireProtocol),
  name: z.string(),
  version: z.string(),
  device: z.string(),
  dtype: z.string(),
  taps: z.boolean(),
  limits: z.object({
    requestBytes: z.number().int().min(1),
    imagePixels: z.number().int().min(1),
    maxPositions: count,
    concurrency: z.number().int().min(1),
    queue: count,
  }),
  dictionaries: z.array(servedSchema),
});
export type WorkerInfo = z.infer<typeof workerInfoSchema>;

/** Throws `engine_unavailable` where this is no worker's answer, or a worker of another protocol, and says which side to update. */
export function parseInfo(text: string): WorkerInfo {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw notAWorker(cause);
  }
  const protocol = z.object({ protocol: z.number() }).safeParse(value).data?.protocol;
  if (protocol === undefined) throw notAWorker(new Error("its answer names no protocol"));
  if (protocol !== wireProtocol) {
    const older = protocol < wireProtocol ? "worker" : "app";
    throw new FacetError(
      "engine_unavailable",
      `The worker that runs this model speaks protocol ${protocol}, and this app protocol ${wireProtocol}.`,
      { fix: `Update the ${older}.` },
    );
  }
  const parsed = workerInfoSchema.safeParse(value);
  if (!parsed.success) throw notAWorker(parsed.error);
  return parsed.data;
}

function notAWorker(cause: unknown): FacetError {
  return new FacetError("engine_unavailable", "What answers at the worker's address does not describe itself as a worker does.", {
    fix: "Check that FACET_WORKER_URL names a worker of this version.",
    cause,
  });
}
