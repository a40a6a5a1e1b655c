/**
 * The catalogue's pictures looked at by a model one after another, and ranked by a painted region as they come. What was found on a picture is kept
 * for the session, so that another region asks the model nothing.
 */
import { asFacetError, type ErrorCode, FacetError } from "@/lib/core/errors";
import { Pace, spread } from "@/lib/core/pace";
import { type CodeStore, type FoundFeatures, PictureCodes } from "@/lib/core/picture-codes";
import { type CodesQuestion, type RankedCodes, RegionRanking } from "@/lib/core/region-ranking";

export interface ScanPicture {
  sha256: string;
  caption: string | null;
}

/** What fires on a picture of the catalogue. `next`: the one that will be asked for, to be fetched meanwhile. */
export type Look = (sha256: string, next: string | null, signal: AbortSignal) => Promise<FoundFeatures>;

export interface ScanParts {
  /** All pictures in the order of import, and what this session has kept of them. */
  open(signal?: AbortSignal): Promise<{ pictures: readonly ScanPicture[]; codes: CodeStore }>;
  /** Whether the session has kept any. */
  kept(): boolean;
  /** The model, loaded where it was not. */
  engine(signal: AbortSignal): Promise<Look>;
  now?(): number;
  /** Throws where the signal aborts first. */
  wait?(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export interface FoundPicture extends RankedCodes {
  caption: string | null;
}

export interface ScanState {
  /** `stopping`: the picture in hand is still looked at; `stopped`: by a person; `failed`: by `error`. All go on from there. */
  status: "idle" | "starting" | "running" | "stopping" | "stopped" | "done" | "failed";
  /** The engine is busy with others, and this waits. */
  busy: boolean;
  /** Of the catalogue; null while they are not known. */
  total: number | null;
  looked: number;
  failed: number;
  firstFailure: FacetError | null;
  /** Pictures a second, and seconds; null while unknown. */
  rate: number | null;
  secondsLeft: number | null;
  /** Pictures of which the engine told the strongest features only. */
  cut: number;
  keptBytes: number;
  /** Looked at, but not kept for another region, since the memory for that is full. */
  unkept: number;
  error: FacetError | null;
  /** Null while nothing is asked. `total`: pictures on which a feature fires in the region. */
  found: { total: number; top: readonly FoundPicture[] } | null;
}

/** Pictures that are shown. */
export const mostShown = 12;
/** A state a quarter of a second, at most. */
const publishMs = 250;
const [firstWait, longestWait] = [1_000, 15_000];
/** So many failures without a success in between are not the pictures' own. */
const tooMany = 5;
/** No other picture would fare better. */
const ending = new Set<ErrorCode>([
  "engine_unavailable",
  "cancelled",
  "version_mismatch",
  "protocol_mismatch",
  "dictionary_not_found",
  "unauthorized",
  "forbidden",
  "catalogue_unreachable",
]);

const nothing: ScanState = {
  status: "idle",
  busy: false,
  total: null,
  looked: 0,
  failed: 0,
  firstFailure: null,
  rate: null,
  secondsLeft: null,
  cut: 0,
  keptBytes: 0,
  unkept: 0,
  error: null,
  found: null,
};

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    const leave = () => {
      clearTimeout(timer);
      reject(new FacetError("cancelled", "It was stopped."));
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
}

export class RegionScan {
  private state = nothing;
  private readonly listeners = new Set<() => void>();
  private published = Number.NEGATIVE_INFINITY;
  private readonly pace = new Pace();
  private controller: AbortController | null = null;
  /** The last run, until it has ended. */
  private running: Promise<void> = Promise.resolve();
  private pictures: readonly ScanPicture[] = [];
  private numberOf = new Map<string, number>();
  private codes: CodeStore | null = null;
  private question: CodesQuestion | null = null;
  private ranking: RegionRanking | null = null;
  /** Pictures in the ranking that are not kept. */
  private unkept = new Set<string>();
  private readonly failures = new Map<string, FacetError>();
  /** Of what is kept. */
  private looked = 0;
  private cut = 0;
  /** What is still to be looked at, from `at` on. */
  private queue: string[] = [];
  private at = 0;
  private readonly now: () => number;
  private readonly wait: NonNullable<ScanParts["wait"]>;

  constructor(private readonly parts: ScanParts) {
    this.now = parts.now ?? (() => performance.now());
    this.wait = parts.wait ?? pause;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  readonly snapshot = (): ScanState => this.state;

  /** Ranks what is kept by another question, and what comes from now on; null: by none. */
  ask(question: CodesQuestion | null): void {
    this.question = question;
    // What is in no store was ranked and let go.
    const again = this.unkept.size > 0;
    this.unkept = new Set();
    this.rank();
    if (again) this.line();
    this.publish();
  }

  /** Shows what the session has kept, without asking the model. A failure shows when it is started. */
  async recall(): Promise<void> {
    if (!this.parts.kept()) return;
    try {
      await this.open();
      this.publish();
    } catch {
      // Nobody has asked for anything yet.
    }
  }

  /** Begins, or goes on. Resolves when it has ended, for whatever reason: `snapshot` says which. */
  async start(): Promise<void> {
    if (this.controller) return;
    const controller = new AbortController();
    this.controller = controller;
    this.publish({ status: "starting", error: null, busy: false });
    const before = this.running;
    this.running = before.then(() => this.run(controller));
    await this.running;
  }

  /** Ends it within one picture; what was found stays. */
  stop(): void {
    if (!this.controller) return;
    this.controller.abort();
    this.controller = null;
    this.publish({ status: "stopping", busy: false });
  }

  private async run(controller: AbortController): Promise<void> {
    const { signal } = controller;
    // Between a stop and its end another run may have begun.
    const end = (change: Partial<ScanState>) => {
      if (this.controller !== controller) return;
      this.controller = null;
      this.publish({ ...change, busy: false });
    };
    try {
      if (signal.aborted) return;
      await this.open(signal);
      this.line();
      const look = this.at < this.queue.length ? await this.parts.engine(signal) : null;
      if (signal.aborted) return;
      this.pace.start(this.now());
      this.publish({ status: "running" });
      if (look) await this.pass(look, signal);
      end({ status: "done" });
    } catch (thrown) {
      end({ status: "failed", error: asFacetError(thrown) });
    } finally {
      // Unless it was begun again meanwhile.
      if (signal.aborted) this.publish(this.controller ? {} : { status: "stopped" });
    }
  }

  private async open(signal?: AbortSignal): Promise<void> {
    const { pictures, codes } = await this.parts.open(signal);
    if (pictures === this.pictures && codes === this.codes) return;
    this.pictures = pictures;
    this.codes = codes;
    this.numberOf = new Map(pictures.map(({ sha256 }, number) => [sha256, number]));
    this.rank();
  }

  /** Pictures to be looked at: those that failed come again, at the end. */
  private line(): void {
    const open = spread(this.pictures.length).flatMap((i) => {
      const { sha256 } = this.pictures[i] as ScanPicture;
      return this.known(sha256) ? [] : [sha256];
    });
    this.queue = [...open.filter((sha256) => !this.failures.has(sha256)), ...open.filter((sha256) => this.failures.has(sha256))];
    this.at = 0;
  }

  private known(sha256: string): boolean {
    return this.codes?.has(sha256) === true || this.unkept.has(sha256);
  }

  private async pass(look: Look, signal: AbortSignal): Promise<void> {
    let inARow = 0;
    let waitMs = firstWait;
    while (this.at < this.queue.length && !signal.aborted) {
      const sha256 = this.queue[this.at] as string;
      if (this.known(sha256)) {
        this.at++;
        continue;
      }
      try {
        const found = await look(sha256, this.queue[this.at + 1] ?? null, signal);
        this.take(sha256, PictureCodes.pack(found));
      } catch (thrown) {
        if (signal.aborted) return;
        const error = asFacetError(thrown);
        if (error.code === "engine_busy") {
          this.publish({ busy: true });
          await this.wait(waitMs, signal);
          waitMs = Math.min(longestWait, 2 * waitMs);
          continue;
        }
        if (ending.has(error.code)) throw error;
        this.failures.set(sha256, error);
        if (++inARow >= tooMany) {
          throw new FacetError(error.code, `The last ${inARow} pictures failed. ${error.message}`, { fix: error.fix, cause: error });
        }
        this.next(sha256);
        continue;
      }
      inARow = 0;
      waitMs = firstWait;
      this.next(sha256);
    }
  }

  /** Another question may have begun the line anew meanwhile. */
  private next(sha256: string): void {
    if (this.queue[this.at] === sha256) this.at++;
    this.pace.mark(this.now());
    if (this.state.busy || this.now() - this.published >= publishMs) this.publish({ busy: false });
  }

  private take(sha256: string, codes: PictureCodes): void {
    this.failures.delete(sha256);
    if (this.codes?.add(sha256, codes)) this.looked++;
    else this.unkept.add(sha256);
    if (codes.cut) this.cut++;
    this.ranking?.add(sha256, this.numberOf.get(sha256) ?? 0, codes);
  }

  private rank(): void {
    const { pictures, codes, question } = this;
    this.ranking = question && new RegionRanking(question, mostShown);
    this.looked = 0;
    this.cut = 0;
    pictures.forEach(({ sha256 }, number) => {
      const kept = codes?.get(sha256);
      if (!kept) return;
      this.looked++;
      if (kept.cut) this.cut++;
      this.ranking?.add(sha256, number, kept);
    });
  }

  private publish(change: Partial<ScanState> = {}): void {
    const now = this.now();
    const { pictures, ranking, codes } = this;
    const looked = this.looked + this.unkept.size;
    const total = codes ? pictures.length : null;
    const works = (change.status ?? this.state.status) === "running";
    this.state = {
      ...this.state,
      ...change,
      total,
      looked,
      failed: this.failures.size,
      firstFailure: this.failures.values().next().value ?? null,
      rate: works ? this.pace.rate(now) : null,
      secondsLeft: works && total !== null ? this.pace.secondsLeft(Math.max(0, this.queue.length - this.at), now) : null,
      cut: this.cut,
      keptBytes: codes?.bytes ?? 0,
      unkept: this.unkept.size,
      found: ranking && codes && looked > 0 ? { total: ranking.total, top: this.withCaptions(ranking.top) } : null,
    };
    this.published = now;
    for (const listener of this.listeners) listener();
  }

  /** The same objects while the best are the same: their heat is drawn once. */
  private withCaptions(top: readonly RankedCodes[]): readonly FoundPicture[] {
    const before = this.state.found?.top ?? [];
    const now = top.map((one) => {
      const same = before.find(({ found }) => found === one.found);
      return same ?? { ...one, caption: this.pictures[one.image]?.caption ?? null };
    });
    return now.length === before.length && now.every((one, i) => one === before[i]) ? before : now;
  }
}
