/** What a worker says when it refuses, as an error of this server. */
import { z } from "zod";
import { type ErrorCode, errorCodes, FacetError } from "@/lib/core/errors";
import { readWhole, type WorkerAnswer } from "./http";

const refusalSchema = z.object({ error: z.object({ code: z.string(), message: z.string(), fix: z.string() }) });
const longest = 64 * 1024;

const wrongToken = () =>
  new FacetError("engine_unavailable", "The worker that runs this model does not take this server's token.", {
    fix: "Set FACET_WORKER_TOKEN to the token that the worker was started with, and start this server again.",
  });

export interface WorkerError {
  code: string;
  message: string;
  fix: string;
}

/**
 * An error that a worker names. What the person asked for is theirs to mend and passes as it is; what is between this server and its worker is not, and
 * becomes `engine_unavailable` or `engine_failed`.
 */
export function workerError({ code, message, fix }: WorkerError, retryAfterS?: number): FacetError {
  switch (code) {
    case "unauthorized":
      return wrongToken();
    case "protocol_mismatch":
      return new FacetError("engine_unavailable", message, { fix });
    case "internal":
      return new FacetError("engine_failed", "The worker failed while it ran the model.", {
        fix: "Run again; if it fails again, see the worker's log.",
        cause: new Error(message),
      });
  }
  const known = errorCodes.find((one): one is ErrorCode => one === code);
  if (known) return new FacetError(known, message, { fix, retryAfterS });
  return new FacetError("engine_failed", "The worker refused the request in a way that this server does not know.", {
    fix: "Update the older one of this server and its worker.",
    cause: new Error(`${code}: ${message}`),
  });
}

function retryAfter(answer: WorkerAnswer): number | undefined {
  const value = Number(answer.headers["retry-after"]);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** Why the answer is not 200. */
export async function refusalOf(answer: WorkerAnswer): Promise<FacetError> {
  const text = await readWhole(answer, longest).catch((error: unknown) => {
    if (error instanceof FacetError && error.code === "cancelled") throw error;
    return "";
  });
  try {
    return workerError(refusalSchema.parse(JSON.parse(text)).error, retryAfter(answer));
  } catch {
    if (answer.status === 401) return wrongToken();
    const code = answer.status === 502 || answer.status === 503 || answer.status === 504 ? "engine_unavailable" : "engine_failed";
    return new FacetError(code, `At the worker's address something answered with status ${answer.status}, and not as a worker does.`, {
      fix: "Check that FACET_WORKER_URL names a worker, and see its log.",
      retryAfterS: retryAfter(answer),
    });
  }
}
