/** For tests: the real worker, in a process of its own, with the demo's model. */
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { env } from "@/lib/env";

/** As cli/setup/python.mjs makes it. */
const python = path.join(env.root, ".venv", ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));
/** Loading PyTorch takes most of it. */
const startMs = 110_000;

export interface RunningWorker {
  url: string;
  process: ChildProcess;
  stop(): Promise<void>;
}

export interface WorkerOptions {
  model: string;
  modelId: string;
  dictionaries: string[];
  /** Further arguments. */
  more?: string[];
  token?: string;
}

/** Resolves when it answers. Rejects with what it said where it does not start. */
export function startWorker({ model, modelId, dictionaries, more = [], token }: WorkerOptions): Promise<RunningWorker> {
  const named = dictionaries.flatMap((folder) => ["--dictionary", folder]);
  const options = ["serve", "--model", model, "--model-id", modelId, ...named, "--port", "0", "--device", "cpu", ...more];
  const variables = { ...process.env, FACET_WORKER_TOKEN: token };
  if (token === undefined) delete variables.FACET_WORKER_TOKEN;
  const child = spawn(python, ["-m", "facet_worker", ...options], { env: variables, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let said = "";
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`The worker was not ready after ${startMs / 1_000} s:\n${said}`));
    }, startMs);
    const fail = (why: string) => {
      clearTimeout(late);
      reject(new Error(`${why}\n${said}`));
    };
    child.once("error", (error) =>
      fail(`The worker did not start (${error.message}). \`npm run test:worker\` makes its Python environment.`),
    );
    child.once("exit", (code) => fail(`The worker ended with ${code} before it was ready.`));
    const listen = (text: string) => {
      said = (said + text).slice(-8_000);
      const url = /ready at (http:\/\/\S+)/.exec(said)?.[1];
      if (!url) return;
      clearTimeout(late);
      resolve({
        url,
        process: child,
        stop: async () => {
          child.kill("SIGKILL");
          await ended;
        },
      });
    };
    child.stdout.setEncoding("utf8").on("data", listen);
    child.stderr.setEncoding("utf8").on("data", listen);
  });
}
