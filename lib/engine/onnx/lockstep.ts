/**
 * Arms of one run going through the model side by side: one pass of a batch writes a token of each. The weights are read once for all, which is most of what
 * a token costs. Members of a batch do not see each other: their numbers are bit for bit those of an arm alone, which the conformance suite checks.
 */
import { type Codes, codesOfRow, noCodes } from "@/lib/core/clamp-arithmetic";
import { type ArmRun, activeFeatures, type TokenEvent } from "./arm";
import type { Cache, CutModel, Place } from "./cut-model";
import type { Prefill } from "./prefill";

/** Beyond this the caches, which each pass copies, outweigh the weights. */
const largestBatch = 8;

/** The arms in batches, in their order. */
export function inBatches<T>(arms: readonly T[]): T[][] {
  const batches: T[][] = [];
  for (let i = 0; i < arms.length; i += largestBatch) batches.push(arms.slice(i, i + largestBatch));
  return batches;
}

export class Lockstep {
  /** Caches that were made here and not given up yet. */
  private readonly held = new Set<Cache>();
  /** Whether the last tokens had to be encoded, so that the next likely have to as well. */
  private coded = false;

  constructor(
    private readonly model: CutModel,
    private readonly prefill: Prefill,
    /** How many features a token's event lists. */
    private readonly features: number,
    private readonly runs: readonly ArmRun[],
  ) {}

  /**
   * Each open arm writes a token, and the tokens enter the model. Yields the tokens' events as they are known. Arms that finished are told apart by `finished`.
   */
  async *step(): AsyncGenerator<TokenEvent, void, void> {
    const start = performance.now();
    const open = this.runs.filter(({ finished }) => !finished);
    const written = open.flatMap((run) => {
      const event = run.write();
      return event ? [{ run, event }] : [];
    });
    const writing = performance.now() - start;
    for (const run of open) run.spend(writing);
    if (this.features === 0) for (const { event } of written) yield event;
    // A token that ends an answer enters the model only to be looked at.
    const entering = this.features > 0 ? written : written.filter(({ run }) => !run.finished);
    const runs = entering.map(({ run }) => run);
    const passing = performance.now();
    if (this.features === 0 && !runs.some(({ hooked }) => hooked)) await this.passUnhooked(runs);
    else if (entering.length) await this.pass(entering);
    const passed = performance.now() - passing;
    for (const run of runs) run.spend(passed);
    if (this.features > 0) for (const { event } of written) yield event;
  }

  private async pass(entering: { run: ArmRun; event: TokenEvent }[]): Promise<void> {
    const { model } = this;
    const { width } = model;
    const runs = entering.map(({ run }) => run);
    const batch = runs.length;
    const ids = runs.map(({ lastId }) => lastId);
    const ahead = this.features > 0 || this.coded;
    const lower = await this.through(runs, "lower", (cache) => model.token(ids, cache, ahead));
    const states = runs.map((_, i) => lower.states.subarray(i * width, (i + 1) * width));
    const needed = runs.map((run, i) => this.features > 0 || run.needsCodes(states[i] as Float32Array));
    this.coded = needed.includes(true);
    const codes = await this.codesOf(states, needed, lower.codes);
    const outputs = runs.map((run, i) => run.passToken(states[i] as Float32Array, codes[i] as Codes));
    if (this.features > 0) await this.listFeatures(entering, states, outputs, codes);
    if (!runs.every(({ finished }) => finished)) {
      const { last } = await this.through(runs, "upper", (cache) => model.upper(joined(outputs, width), cache, batch));
      runs.forEach((run, i) => {
        run.receive(last[i] as Float32Array);
      });
    }
  }

  /** The tokens straight through both halves. */
  private async passUnhooked(runs: ArmRun[]): Promise<void> {
    if (runs.length === 0) return;
    const ids = runs.map(({ lastId }) => lastId);
    const left = runs.flatMap((run) => [run.place("lower").cache, run.place("upper").cache]);
    const [lower, upper] = [
      await this.behind(runs.map((run) => run.place("lower"))),
      await this.behind(runs.map((run) => run.place("upper"))),
    ];
    const passed = await this.model.wholeToken(ids, lower, upper);
    runs.forEach((run, row) => {
      run.moveTo("lower", { cache: passed.lower, row });
      run.moveTo("upper", { cache: passed.upper, row });
      run.receive(passed.last[row] as Float32Array);
    });
    this.held.add(passed.lower).add(passed.upper);
    await this.giveUp(new Set([lower, upper, ...left]));
  }

  /** One row of each run through one half, behind the runs' own positions; their places are then in the new cache, and what they leave is given up. */
  private async through<T extends { cache: Cache }>(
    runs: ArmRun[],
    half: "lower" | "upper",
    pass: (behind: Cache) => Promise<T>,
  ): Promise<T> {
    const places = runs.map((run) => run.place(half));
    const behind = await this.behind(places);
    const passed = await pass(behind);
    this.held.add(passed.cache);
    runs.forEach((run, row) => {
      run.moveTo(half, { cache: passed.cache, row });
    });
    await this.giveUp(new Set([behind, ...places.map(({ cache }) => cache)]));
    return passed;
  }

  /** Codes of the states that need them, all in one pass; `ahead`: those of all states, where the pass was made with the lower half's. */
  private async codesOf(states: Float32Array[], needed: boolean[], ahead: Codes | null): Promise<Codes[]> {
    const rows = states.flatMap((_, i) => (needed[i] ? [i] : []));
    if (rows.length === 0) return states.map(() => noCodes);
    if (ahead) return states.map((_, i) => codesOfRow(ahead, i));
    const chosen = rows.map((row) => states[row] as Float32Array);
    const all = await this.model.encode(joined(chosen, this.model.width));
    return states.map((_, i) => (rows.includes(i) ? codesOfRow(all, rows.indexOf(i)) : noCodes));
  }

  private async listFeatures(
    entering: { event: TokenEvent }[],
    states: Float32Array[],
    outputs: Float32Array[],
    codes: Codes[],
  ): Promise<void> {
    const moved = outputs.map((output, i) => output.some((x, j) => x !== states[i]?.[j]));
    const again = await this.codesOf(outputs, moved, null);
    entering.forEach(({ event }, i) => {
      const own = codes[i] as Codes;
      event.features = activeFeatures(own, moved[i] ? (again[i] as Codes) : own, this.features);
    });
  }

  /** The cache of exactly these places in their order: theirs as it is where it already is that, else a new one. */
  private async behind(places: Place[]): Promise<Cache> {
    const [{ cache }] = places as [Place];
    const size = cache.values().next().value?.dims[0];
    if (size === places.length && places.every((place, row) => place.cache === cache && place.row === row)) return cache;
    const gathered = await this.model.gather(places);
    this.held.add(gathered);
    return gathered;
  }

  private async giveUp(caches: Iterable<Cache>): Promise<void> {
    for (const cache of caches) {
      this.held.delete(cache);
      if (!(await this.prefill.shares(cache))) this.model.release(cache);
    }
  }

  /** Gives up the caches; nothing can be written afterwards. */
  async release(): Promise<void> {
    await this.giveUp([...this.held, ...this.runs.flatMap((run) => run.startCache ?? [])]);
  }
}

function joined(rows: Float32Array[], width: number): Float32Array {
  if (rows.length === 1) return rows[0] as Float32Array;
  const all = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    all.set(row, i * width);
  });
  return all;
}
