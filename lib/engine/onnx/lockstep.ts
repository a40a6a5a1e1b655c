/**
 * Arms of one run going through the model side by side: one pass of a batch writes a token of each. The weights are read once for all, which is most of what
 * a token costs. Members of a batch do not see each other: their numbers are bit for bit those of an arm alone, which the conformance suite checks.
 */
import type { ClampedSlab, Codes } from "@/lib/core/clamp-arithmetic.mjs";
import { type ArmRun, activeFeatures, type TokenEvent } from "./arm";
import type { Cache, CutModel, PassedToken, Place, TokenPass } from "./cut-model";
import type { Prefill } from "./prefill";
import { joined } from "./token-hook.mjs";

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
    if (entering.length) await this.pass(entering);
    const passed = performance.now() - passing;
    for (const run of runs) run.spend(passed);
    if (this.features > 0) for (const { event } of written) yield event;
  }

  private async pass(entering: { run: ArmRun; event: TokenEvent }[]): Promise<void> {
    const runs = entering.map(({ run }) => run);
    const arms = runs.map(({ tokenClamps }) => tokenClamps);
    const listed = this.features > 0;
    const hooked = listed || arms.some((arm) => arm !== null) ? { arms, listed } : null;
    const halves = runs.every(({ finished }) => finished) ? (["lower"] as const) : (["lower", "upper"] as const);
    const left = halves.flatMap((half) => runs.map((run) => run.place(half).cache));
    const lower = await this.behind(runs.map((run) => run.place("lower")));
    const upper = halves.length === 2 ? await this.behind(runs.map((run) => run.place("upper"))) : null;
    const pass = { ids: runs.map(({ lastId }) => lastId), lower, upper, hooked };
    const passed = runs.some(({ watched }) => watched) ? await this.passWatched(pass, runs) : await this.model.wholeToken(pass);
    this.held.add(passed.lower);
    if (passed.upper) this.held.add(passed.upper.cache);
    runs.forEach((run, row) => {
      run.moveTo("lower", { cache: passed.lower, row });
      if (!passed.upper) return;
      run.moveTo("upper", { cache: passed.upper.cache, row });
      run.receive(passed.upper.last[row] as Float32Array);
    });
    const { report } = passed;
    if (report) {
      entering.forEach(({ run, event }, i) => {
        run.countToken(report.states[i] as Float32Array, report.slabs[i] as ClampedSlab);
        if (listed) event.features = activeFeatures(report.codes[i] as Codes, report.after[i] as Codes, this.features);
      });
    }
    await this.giveUp(new Set([lower, ...(upper ? [upper] : []), ...left]));
  }

  /** The same as the model's own pass, stopping at the hook so that a test can look on and interfere. */
  private async passWatched({ ids, lower, upper, hooked }: TokenPass, runs: ArmRun[]): Promise<PassedToken> {
    const { model } = this;
    const { width, tokenHook } = model;
    const below = await model.token(ids, lower);
    const states = runs.map((_, i) => below.states.subarray(i * width, (i + 1) * width));
    const { arms, listed } = hooked ?? { arms: runs.map(() => null), listed: false };
    const clamped = await tokenHook.clamp(states, arms, listed);
    // What a test writes to must not be the model's own state.
    const slabs = clamped.slabs.map((slab, i) => (slab.output === states[i] ? { ...slab, output: slab.output.slice() } : slab));
    runs.forEach((run, i) => {
      run.showToken(states[i] as Float32Array, slabs[i] as ClampedSlab);
    });
    const given = { slabs, codes: clamped.codes };
    const after = listed ? await tokenHook.codesAfter(states, given) : [];
    const outputs = slabs.map(({ output }) => output);
    const raised = upper && (await model.upper(joined(outputs), upper, runs.length));
    return { lower: below.cache, upper: raised, report: { states, ...given, after } };
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
