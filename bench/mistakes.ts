/**
 * Whether attribution finds the cause of a mistake, and whether clamps on what it finds mend it, where the truth is known: the embedded model's own
 * mistakes on held-out questions (demo/mistakes.py has how they are drawn), searched by the same code as the page's "Mend it".
 *
 *   npx tsx bench/mistakes.ts [--emotion 500] [--presence 3000] [--absent 3000] [--hook model.layers.1]
 *     [--each 350,80,139] [--minutes 60] [--work FILE] [--out bench/results/mistakes.json]
 *
 * Every mistake is attributed. Of each group (wrong feelings, hallucinations, denials) the first `--each`, in the order of their seeds, are mended: from the
 * twenty features of the largest contributions, and from twenty others that are active on the same prompt, by the same search. FILE keeps what is done, a
 * line a mistake, so that an ended run goes on and several may share it, each beginning at its own `--from`; `--minutes` ends a run.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { parseArgs } from "node:util";
import { type MendCandidate, mend, scopeOf } from "@/lib/core/mend";
import type { Intervention } from "@/lib/core/protocol";
import { type Done, groups, keyOf, type Mended, type Mistake, type Row, summary } from "./mistakes-summary";

const { values: args } = parseArgs({
  options: {
    emotion: { type: "string", default: "500" },
    presence: { type: "string", default: "3000" },
    absent: { type: "string", default: "3000" },
    hook: { type: "string", default: "model.layers.1" },
    each: { type: "string", default: "350,80,139" },
    from: { type: "string", default: "0,0,0" },
    minutes: { type: "string", default: "60" },
    work: { type: "string", default: ".facet/mistakes.ndjson" },
    out: { type: "string", default: "bench/results/mistakes.json" },
    python: { type: "string", default: ".venv/bin/python" },
  },
});

/** The Python side: one question at a time, in order. */
class Model {
  #child: ChildProcessByStdio<Writable, Readable, null>;
  #lines: AsyncIterator<string>;
  #turn: Promise<unknown> = Promise.resolve();

  constructor() {
    const options = [
      "-m",
      "demo.mistakes",
      "--emotion",
      args.emotion,
      "--presence",
      args.presence,
      "--absent",
      args.absent,
      "--hook",
      args.hook,
    ];
    const env = { ...process.env, PYTHONPATH: ["worker", "."].join(":") };
    this.#child = spawn(args.python, options, { stdio: ["pipe", "pipe", "inherit"], env });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async read<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("demo.mistakes ended early; the lines above say why.");
    return JSON.parse(value) as T;
  }

  ask<T>(what: object): Promise<T> {
    const answer = this.#turn.then(async () => {
      this.#child.stdin.write(`${JSON.stringify(what)}\n`);
      return this.read<T>();
    });
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  async end() {
    this.#child.stdin.end();
    await once(this.#child, "exit");
  }
}

/** What the Python side takes of a clamp. */
const plain = ({ feature, op, value, scope }: Intervention) => ({ feature, op, value, scope: scope.type });

async function mendFrom(model: Model, number: number, rows: readonly Row[]): Promise<Mended> {
  const candidates: MendCandidate[] = rows.map(({ feature, contribution, image, text }) => ({
    feature,
    contribution,
    scope: scopeOf(image, text),
  }));
  const harms = new Map<string, number>();
  const result = await mend({
    candidates,
    signal: new AbortController().signal,
    concurrency: 1,
    async run({ fixed, swept, values }) {
      const tried = values.map((value) => [...fixed.map(plain), { ...plain(swept), value }]);
      const read = await model.ask<[boolean, number][]>({ mistake: number, arms: tried });
      return read.map(([right, nearness]) => ({ text: "", right, nearness }));
    },
    async harmOf(clamps) {
      const panel = clamps.map(plain);
      const key = JSON.stringify(panel);
      const harm = harms.get(key) ?? (await model.ask<number>({ panel }));
      harms.set(key, harm);
      return harm;
    },
  });
  const best = result.found[0];
  return { right: best !== undefined, clamps: best?.clamps ?? [], harm: best?.harm ?? null, answers: result.answers };
}

const started = performance.now();
const model = new Model();
const { asked, wrong, mistakes } = await model.read<{
  asked: Record<string, number>;
  wrong: Record<string, number>;
  mistakes: Mistake[];
}>();
/** Lines of FILE, by their keys. */
async function readDone(): Promise<Map<string, Done>> {
  const text = await readFile(args.work, "utf8").catch(() => "");
  const lines = text.split("\n").filter(Boolean);
  return new Map(lines.map((line) => JSON.parse(line) as Done).map((one) => [one.key, one]));
}

// A mistake of each group in turn, so that a run that is ended has some of each.
const each = args.each.split(",").map(Number);
const from = args.from.split(",").map(Number);
const chosen = Object.fromEntries(Object.entries(groups).map(([name, is], i) => [name, mistakes.filter(is).slice(0, each[i])]));
const order = Array.from({ length: Math.max(...each) }, (_, i) =>
  Object.values(chosen).flatMap((queue, group) => (i < (from[group] ?? 0) ? [] : (queue[i] ?? []))),
).flat();
for (const mistake of order) {
  const key = keyOf(mistake);
  if ((await readDone()).has(key)) continue;
  if (performance.now() - started > Number(args.minutes) * 60_000) break;
  const number = mistakes.indexOf(mistake);
  const [right, harm] = await model.ask<[boolean, number]>({ hint: number });
  const one: Done = {
    key,
    attributed: await mendFrom(model, number, mistake.top),
    random: await mendFrom(model, number, mistake.random),
    hint: { right, harm },
  };
  await appendFile(args.work, `${JSON.stringify(one)}\n`);
  console.log(`${mistake.kind}, ${mistake.right} for ${mistake.said}: ${one.attributed.right} ${one.attributed.harm}`);
}
await model.end();
const done = await readDone();

const results = Object.fromEntries(
  Object.entries(groups).map(([name, is]) => {
    const tried = (chosen[name] ?? []).flatMap((mistake) => {
      const one = done.get(keyOf(mistake));
      return one ? [{ mistake, done: one }] : [];
    });
    return [name, summary(mistakes.filter(is), tried)];
  }),
);
await writeFile(
  args.out,
  `${JSON.stringify({ command: `npx tsx bench/mistakes.ts --emotion ${args.emotion} --presence ${args.presence} --absent ${args.absent} --hook ${args.hook} --each ${args.each}`, hook: args.hook, asked, wrong, results }, null, 2)}\n`,
);
console.log(JSON.stringify(results, null, 2));
