/** For tests: a server in a worker's place that answers as each test says. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { wireProtocol } from "@/lib/core/worker-wire";
import type { Served, WorkerInfo } from "./info";
import { type Patience, Worker } from "./worker";

export const testServed: Served = {
  name: "torch",
  version: "1",
  dtype: "float32",
  model: { id: "m", name: "M", sha256: "a".repeat(64), imageSize: 4, grid: { rows: 2, cols: 2 } },
  dictionary: { ref: "m/d", id: "d", hook: "model.layers.1", layer: 1, sha256: "b".repeat(64), numLatents: 8, width: 2, k: 1 },
  maxPositions: 40,
  modes: ["delta", "reconstruct"],
};

export const testInfo: WorkerInfo = {
  protocol: wireProtocol,
  name: "facet-worker",
  version: "1",
  device: "cpu",
  dtype: "float32",
  taps: true,
  limits: { requestBytes: 1_000_000, imagePixels: 10_000, maxPositions: 40, concurrency: 1, queue: 1 },
  dictionaries: [testServed],
};

export const testPatience: Patience = { connectMs: 1_000, infoMs: 1_000, runMs: 400, freshMs: 60_000, retryMs: 0 };

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export interface TestWorker {
  url: URL;
  worker: Worker;
  /** What `GET /info` answers: an object, or a status. */
  info: object | number;
  /** What a POST answers. */
  post: Handler;
  /** Of each request: method, path and token; bodies of POSTs. */
  seen: { call: string; token: string | undefined }[];
  bodies: string[];
  /** Connections that were closed while their answer was open. */
  left: number;
  stop(): Promise<void>;
  /** Again at the same address. */
  start(): Promise<void>;
}

export async function startTestWorker(patience: Partial<Patience> = {}, token?: string): Promise<TestWorker> {
  const answer: Handler = (request, response, body) => {
    test.seen.push({ call: `${request.method} ${request.url}`, token: request.headers.authorization });
    response.on("close", () => {
      if (!response.writableFinished) test.left++;
    });
    if (request.method === "POST") {
      test.bodies.push(body);
      return test.post(request, response, body);
    }
    const { info } = test;
    response.writeHead(typeof info === "number" ? info : 200).end(typeof info === "number" ? "" : JSON.stringify(info));
  };
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => answer(request, response, Buffer.concat(parts).toString("utf8")));
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}/`);
  const test: TestWorker = {
    url,
    worker: new Worker({ url, token }, { ...testPatience, ...patience }),
    info: testInfo,
    post: (_, response) => response.writeHead(500).end(),
    seen: [],
    bodies: [],
    left: 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    start: () => listen(port),
  };
  return test;
}

/** Answers with lines, and ends. */
export function sendLines(response: ServerResponse, ...lines: object[]): void {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}

/** Answers with an error as a worker does. */
export function sendError(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers).end(JSON.stringify({ error: { code, message: `Said: ${code}.`, fix: "Do so.", retry: false } }));
}
