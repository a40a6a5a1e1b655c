/**
 * One request to a worker, over a connection of its own. Node's own client and not `fetch`: it tells a connection that is not made from an answer that
 * does not come, sends nothing on to where a redirect points, and ends the connection when the request is dropped.
 */
import http from "node:http";
import https from "node:https";
import { FacetError } from "@/lib/core/errors";

export interface WorkerAddress {
  url: URL;
  /** Sent as `Authorization: Bearer`; never part of a message. */
  token: string | undefined;
}

export interface WorkerCall {
  path: string;
  /** Sent as JSON by POST; without one it is a GET. */
  body?: string;
  signal?: AbortSignal;
  /** How long it may take until the connection is made. */
  connectMs?: number;
  /** How long nothing may pass over the connection: while the body is sent, until the answer begins, and within it. */
  patienceMs: number;
}

export interface WorkerAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** The body as it comes. Ends the connection when it is left, and throws `cancelled` or `engine_failed`. */
  body: AsyncGenerator<Buffer, void, void>;
}

const usualConnectMs = 3_000;
const startAgain = "Start the worker again, or correct FACET_WORKER_URL; it is used again as soon as it answers.";

const seconds = (ms: number) => (ms < 1_000 ? `${ms} ms` : `${Math.round(ms / 1_000)} seconds`);

export const cancelled = () => new FacetError("cancelled", "The request was cancelled before its answer ended.");

function unreachable(cause: unknown): FacetError {
  return new FacetError("engine_unavailable", "The worker that runs this model cannot be reached.", { fix: startAgain, cause });
}

function silent(ms: number): FacetError {
  return new FacetError("engine_unavailable", `The worker that runs this model has given no answer for ${seconds(ms)}.`, {
    fix: "Run again later. If it is only slow, give it more time in FACET_ENGINE_PATIENCE; else start the worker again.",
  });
}

/** Sends a request and resolves when the answer's head is there. Throws `engine_unavailable` or `cancelled`. */
export function callWorker({ url, token }: WorkerAddress, call: WorkerCall): Promise<WorkerAnswer> {
  const { path, body, signal, connectMs = usualConnectMs, patienceMs } = call;
  const target = new URL(url);
  target.pathname = `${url.pathname.replace(/\/+$/, "")}${path}`;
  const headers: http.OutgoingHttpHeaders = { accept: "application/json, application/x-ndjson" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    headers["content-length"] = Buffer.byteLength(body);
  }
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled());
    const { request: open } = target.protocol === "https:" ? https : http;
    // Without an agent a connection serves one request: none is found closed by a worker that was started anew meanwhile.
    const request = open(target, { method: body === undefined ? "GET" : "POST", headers, agent: false });
    const connecting = setTimeout(
      () => request.destroy(unreachable(new Error(`no connection to ${target.host} within ${connectMs} ms`))),
      connectMs,
    );
    const leave = () => request.destroy(cancelled());
    signal?.addEventListener("abort", leave, { once: true });
    const settled = () => {
      clearTimeout(connecting);
      request.setTimeout(0);
    };
    request.once("socket", (socket) => {
      socket.once(target.protocol === "https:" ? "secureConnect" : "connect", () => {
        clearTimeout(connecting);
        request.setTimeout(patienceMs, () => request.destroy(silent(patienceMs)));
      });
    });
    // Stays for what may come after the answer has begun: the body's reader is told of that as well.
    request.on("error", (error) => {
      settled();
      signal?.removeEventListener("abort", leave);
      reject(error instanceof FacetError ? error : unreachable(error));
    });
    request.once("response", (response) => {
      settled();
      signal?.removeEventListener("abort", leave);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: readBody(response, signal, patienceMs) });
    });
    request.end(body);
  });
}

export function brokenOff(cause: unknown): FacetError {
  return new FacetError("engine_failed", "The worker broke off in the middle of its answer.", {
    fix: "Run again; if it fails again, see the worker's log.",
    cause,
  });
}

/** Time counts only while a chunk is waited for, not while the reader does something else. */
async function* readBody(
  response: http.IncomingMessage,
  signal: AbortSignal | undefined,
  patienceMs: number,
): AsyncGenerator<Buffer, void, void> {
  const leave = () => response.destroy(cancelled());
  if (signal?.aborted) leave();
  signal?.addEventListener("abort", leave, { once: true });
  const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      const late = setTimeout(
        () =>
          response.destroy(
            new FacetError("engine_failed", `The worker has sent nothing more for ${seconds(patienceMs)} in the middle of its answer.`, {
              fix: "Run again; if it is only slow, give it more time in FACET_ENGINE_PATIENCE.",
            }),
          ),
        patienceMs,
      );
      const next = await chunks.next().finally(() => clearTimeout(late));
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    if (signal?.aborted) throw cancelled();
    throw error instanceof FacetError ? error : brokenOff(error);
  } finally {
    signal?.removeEventListener("abort", leave);
    response.destroy();
  }
}

/** The whole of a body. Throws as it does, and `engine_failed` where it has more than `limit` bytes. */
export async function readWhole(answer: WorkerAnswer, limit: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer.body) {
    size += part.byteLength;
    if (size > limit) throw new FacetError("engine_failed", "The worker's answer is longer than any it can give.");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
