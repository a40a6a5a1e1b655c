/** A worker as this server knows it: what it serves, whether it answers, and how many requests are with it. */
import { asFacetError, FacetError } from "@/lib/core/errors";
import { log } from "@/lib/log";
import { callWorker, readWhole, type WorkerAddress, type WorkerAnswer, type WorkerCall } from "./http";
import { parseInfo, type Served, type WorkerInfo } from "./info";
import { refusalOf } from "./refusal";

export interface Patience {
  /** Until a connection is made. */
  connectMs: number;
  /** Without a sign of life while it is asked what it serves. */
  infoMs: number;
  /** Without a sign of life while it runs a model. */
  runMs: number;
  /** After which what it said of itself is asked anew. */
  freshMs: number;
  /** The same where it said nothing. */
  retryMs: number;
}

/** `info`: what it said last, also of one that is gone since. */
export type WorkerState = { info: WorkerInfo; failure: null } | { info: WorkerInfo | null; failure: FacetError };

const longestInfo = 4 * 1024 * 1024;
/** A page waits no longer for a worker that was never heard of. */
const pageMs = 1_500;

export class Worker {
  private known: WorkerState | null = null;
  private knownAt = Number.NEGATIVE_INFINITY;
  private asking: Promise<WorkerState> | null = null;
  private inFlight = 0;

  constructor(
    private readonly address: WorkerAddress,
    private readonly patience: Patience,
  ) {}

  /** For logs and the doctor; without the token. */
  get url(): string {
    return this.address.url.href;
  }

  /** What it serves, or why that is not known; asked anew where the last answer is old. */
  async state(): Promise<WorkerState> {
    const lastsMs = this.known?.failure ? this.patience.retryMs : this.patience.freshMs;
    if (this.known && performance.now() - this.knownAt < lastsMs) return this.known;
    this.asking ??= this.ask().finally(() => {
      this.asking = null;
    });
    return this.asking;
  }

  /** The same for a page, which shall not wait: what was known last, while it is asked anew. */
  async glance(): Promise<WorkerState> {
    const fresh = this.state();
    if (this.known) return this.known;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<WorkerState>((resolve) => {
      const failure = new FacetError("engine_unavailable", "The worker has not answered yet.");
      timer = setTimeout(() => resolve({ info: null, failure }), pageMs);
    });
    return Promise.race([fresh, late]).finally(() => clearTimeout(timer));
  }

  /** Of a dictionary that it serves. Throws `engine_unavailable`. */
  async served(ref: string): Promise<{ served: Served; info: WorkerInfo }> {
    const { info, failure } = await this.state();
    if (failure) throw failure;
    const served = info.dictionaries.find(({ dictionary }) => dictionary.ref === ref);
    if (served) return { served, info };
    throw new FacetError("engine_unavailable", `The worker no longer serves ${ref}.`);
  }

  /** Asks for a run. Throws `engine_unavailable`, `cancelled` or what the worker answers in place of 200. */
  async call(call: Pick<WorkerCall, "path" | "body" | "signal">): Promise<WorkerAnswer> {
    const { connectMs, runMs } = this.patience;
    try {
      const answer = await callWorker(this.address, { ...call, connectMs, patienceMs: runMs });
      if (answer.status !== 200) throw await refusalOf(answer);
      return answer;
    } catch (error) {
      // Whoever comes next shall find out whether it is there, and with what.
      if (error instanceof FacetError && (error.code === "engine_unavailable" || error.code === "version_mismatch"))
        this.knownAt = Number.NEGATIVE_INFINITY;
      throw error;
    }
  }

  /**
   * A place among this server's requests to the worker, to be given back by calling what is returned. Throws `engine_busy` where there are as many as the
   * worker takes at most, so that no picture is decoded for a request that would be turned away. Others may fill its line too; that it says itself.
   */
  enter({ limits }: WorkerInfo): () => void {
    const { concurrency, queue } = limits;
    if (this.inFlight >= concurrency + queue) {
      throw new FacetError("engine_busy", `The worker is busy and ${queue} requests are already waiting for it.`);
    }
    this.inFlight++;
    let left = false;
    return () => {
      if (!left) this.inFlight--;
      left = true;
    };
  }

  private async ask(): Promise<WorkerState> {
    const before = this.known;
    this.known = await this.describe().then(
      (info): WorkerState => ({ info, failure: null }),
      (error: unknown): WorkerState => ({ info: before?.info ?? null, failure: asFacetError(error) }),
    );
    this.knownAt = performance.now();
    const { failure } = this.known;
    if (failure && failure.message !== before?.failure?.message) {
      log.warn({ worker: this.url, err: failure.cause }, failure.message);
    } else if (!failure && (!before || before.failure)) {
      log.info({ worker: this.url, dictionaries: this.known.info.dictionaries.map(({ dictionary }) => dictionary.ref) }, "Worker answers.");
    }
    return this.known;
  }

  private async describe(): Promise<WorkerInfo> {
    const { connectMs, infoMs } = this.patience;
    const answer = await callWorker(this.address, { path: "/info", connectMs, patienceMs: infoMs });
    if (answer.status !== 200) throw await refusalOf(answer);
    return parseInfo(await readWhole(answer, longestInfo));
  }
}
