/** Writes the tables of bench/results/catalogue.json into docs/performance.md, between its marks. Run: npx tsx bench/catalogue-report.ts */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { env } from "@/lib/env";
import type { FeatureMeasure } from "./catalogue/feature";
import type { ImportMeasure } from "./catalogue/import-once";
import type { NearestMeasure } from "./catalogue/nearest";
import type { PagesMeasure } from "./catalogue/pages";
import type { PeerMeasure } from "./catalogue/peer";
import type { RecallMeasure, SearchMeasure } from "./catalogue/search";
import type { Times } from "./catalogue/timing";

interface Made<T> {
  date: string;
  machine: string;
  loadAverage: number;
  features: number;
  result: T;
}
interface Growth {
  featuresEach: number;
  one: { mebibytes: number; pages: Times; search: Times; feature: Times };
  four: Growth["one"];
  ratioP50: Record<"pages" | "search" | "feature", number>;
}
interface Memory {
  flags: string[];
  peaks: { features: number; peakMiB: number }[];
}
interface Results {
  [part: string]: Made<unknown> | undefined;
}

const results = JSON.parse(readFileSync(path.join(env.root, "bench", "results", "catalogue.json"), "utf8")) as Record<
  string,
  Results | undefined
>;
const kinds = [
  ["postgres", "PostgreSQL"],
  ["pglite", "PGlite"],
] as const;
const lines: string[] = [];
const say = (...text: string[]) => lines.push(...text);
const table = (head: string[], rows: (string | number)[][]) =>
  say(`| ${head.join(" | ")} |`, `|${head.map(() => "---").join("|")}|`, ...rows.map((row) => `| ${row.join(" | ")} |`), "");
const ms = (times: Times) => `${times.p50} / ${times.p95}`;
const thousands = (n: number) => n.toLocaleString("en");

function of<T>(kind: string, part: string): Made<T> | undefined {
  return results[kind]?.[part] as Made<T> | undefined;
}

/** One line that says how a part was measured. */
function how(part: string): void {
  const made = kinds.flatMap(([kind, name]) => {
    const one = of(kind, part);
    return one ? [`${name} ${one.date.replace("T", " ")} at a load average of ${one.loadAverage}`] : [];
  });
  say(`${made.join("; ")}.`, "");
}

function imports(): void {
  say("### Import", "");
  const rows: (string | number)[][] = [];
  for (const [kind, name] of kinds) {
    for (const [part, made] of Object.entries(results[kind] ?? {})) {
      if (!part.startsWith("import ") || !made) continue;
      const measure = made.result as ImportMeasure;
      const { vectors } = measure;
      rows.push([
        name,
        thousands(Number(part.slice(7))),
        thousands(measure.rows),
        measure.seconds.toFixed(0),
        thousands(Math.round(measure.rows / measure.seconds)),
        measure.peakMiB,
        vectors ? vectors.writingAndIndexSeconds.toFixed(0) : "",
        measure.peakWithVectorsMiB ?? "",
        made.loadAverage,
      ]);
    }
  }
  table(["", "features", "rows", "s", "rows/s", "peak MiB", "vectors written and indexed, s", "peak MiB with them", "load"], rows);
  const capped = kinds.flatMap(([kind, name]) => {
    const memory = of<Memory>(kind, "memory")?.result;
    return memory ? [{ name, ...memory }] : [];
  });
  const [first] = capped;
  if (!first) return;
  say(
    `The peaks hold what Node's collector had not yet taken back. In a heap that leaves it no slack (\`node ${first.flags.join(" ")}\`) the same import has its peak at`,
    "",
  );
  table(
    ["", ...first.peaks.map((peak) => `${thousands(peak.features)} features, MiB`)],
    capped.map(({ name, peaks }) => [name, ...peaks.map((peak) => peak.peakMiB)]),
  );
}

function pages(): void {
  say("### A page of 50, sorted and filtered", "");
  how("pages");
  const both = kinds.flatMap(([kind, name]) => (of<PagesMeasure>(kind, "pages") ? [[kind, name] as const] : []));
  const first = of<PagesMeasure>("postgres", "pages")?.result ?? of<PagesMeasure>("pglite", "pages")?.result;
  if (!first) return;
  const measures = both.map(([kind]) => of<PagesMeasure>(kind, "pages")?.result as PagesMeasure);
  const rows = Object.keys(first.filters).map((filter) => [
    filter,
    `${((first.filters[filter]?.share ?? 0) * 100).toFixed(2)} %`,
    ...measures.flatMap((one) => [ms(one.filters[filter]?.first as Times), ms(one.filters[filter]?.deep as Times)]),
  ]);
  const all = ["**all**", "", ...measures.flatMap((one) => [`**${ms(one.all)}** (n ${one.all.n})`, ""])];
  table(["filter", "passes", ...both.flatMap(([, name]) => [`${name}, first page, p50 / p95 ms`, "deep page"])], [...rows, all]);
  const bytes = first.bytes;
  say(
    `The answers have ${thousands(bytes.p50)} bytes over the wire in the median and ${thousands(bytes.max)} at most (gzip; ${thousands(bytes.uncompressedP50)} plain), maps included.`,
    "",
  );
}

function searches(): void {
  say("### The search box", "");
  how("search");
  const both = kinds.flatMap(([kind, name]) => {
    const one = of<SearchMeasure>(kind, "search");
    return one ? [[name, one.result] as const] : [];
  });
  const first = both[0]?.[1];
  if (!first) return;
  table(
    ["question", "found", ...both.map(([name]) => `${name}, p50 / p95 ms`)],
    [
      ...Object.keys(first.kinds).map((kind) => [
        kind,
        first.kinds[kind]?.found ?? "",
        ...both.map(([, one]) => (one.kinds[kind] ? ms(one.kinds[kind]) : "")),
      ]),
      ["**all**", "", ...both.map(([, one]) => `**${ms(one.all)}** (n ${one.all.n})`)],
    ],
  );
}

function recall(): void {
  say("### The nearest vectors against an exact answer", "");
  how("recall");
  const rows = kinds.flatMap(([kind, name]) =>
    Object.entries(of<RecallMeasure>(kind, "recall")?.result ?? {})
      .sort(([a], [b]) => Number(b) - Number(a))
      .map(([share, one]) => [name, `${Number(share) * 100} %`, one.recallAt10, ms(one.search), ms(one.exact), one.questions]),
  );
  table(["", "filter passes", "recall@10", "search, p50 / p95 ms", "exact, p50 / p95 ms", "questions"], rows);
}

function feature(): void {
  say("### One feature's page", "");
  how("feature");
  const rows = kinds.flatMap(([kind, name]) => {
    const one = of<FeatureMeasure>(kind, "feature")?.result;
    return one
      ? [[name, `${ms(one.first)} (n ${one.first.n})`, one.cold ? `${ms(one.cold)} (n ${one.cold.n})` : "", thousands(one.bytesP50)]]
      : [];
  });
  table(["", "first time, p50 / p95 ms", "server's buffers emptied, p50 / p95 ms", "bytes"], rows);
}

function peer(): void {
  const made = of<PeerMeasure>("postgres", "peer");
  if (!made) return;
  say(
    "### Neuronpedia's way, same rows, same server",
    "",
    `PostgreSQL ${made.date.replace("T", " ")} at a load average of ${made.loadAverage}.`,
    "",
  );
  const { page, search, searchIndexed } = made.result;
  const row = (what: string, one: PeerMeasure["page"], rows: string) => [
    what,
    ms(one.ours),
    ms(one.theirs),
    `${one.ratioP50} / ${one.ratioP95}`,
    rows,
  ];
  table(
    ["question", "here, p50 / p95 ms", "their way, p50 / p95 ms", "theirs ÷ ours", "rows of 50: here, theirs"],
    [
      row("50 features by index, from a random place", page, "50, 50"),
      row("in other words, filtered to a tenth; no vector index", search, `${search.rowsOfFiftyOurs}, ${search.rowsOfFiftyTheirs}`),
      row("the same; with a vector index", searchIndexed, `${search.rowsOfFiftyOurs}, ${searchIndexed.rowsOfFiftyTheirs}`),
    ],
  );
}

function growth(): void {
  say("### Four dictionaries instead of one", "");
  how("growth");
  const rows = kinds.flatMap(([kind, name]) => {
    const one = of<Growth>(kind, "growth")?.result;
    if (!one) return [];
    return (["pages", "search", "feature"] as const).map((key) => [
      name,
      `4 × ${thousands(one.featuresEach)}`,
      `${thousands(one.one.mebibytes)} → ${thousands(one.four.mebibytes)}`,
      key,
      ms(one.one[key]),
      ms(one.four[key]),
      one.ratioP50[key],
    ]);
  });
  table(["", "features", "database, MiB", "question", "one, p50 / p95 ms", "four, p50 / p95 ms", "ratio of p50"], rows);
}

function nearest(): void {
  const made = of<NearestMeasure>("neither", "nearest");
  if (!made) return;
  const { latents, width, seconds, gigaFlops } = made.result;
  const whole = (2 * 131_072 ** 2 * 4_096) / (gigaFlops * 1e9) / 60;
  say(
    "### Nearest features by decoder cosine",
    "",
    `Exact, all pairs, where a bundle brings none: ${thousands(latents)} rows of ${thousands(width)} numbers in ${seconds} s, ${gigaFlops} · 10⁹ operations a second`,
    `(${made.date.replace("T", " ")}, load average ${made.loadAverage}). At that rate 131,072 rows of 4,096 take about ${whole.toFixed(0)} minutes on this machine (computed, not measured).`,
    "",
  );
}

const any = of("postgres", "pages") ?? of("pglite", "pages");
say(
  `Machine: ${any?.machine}. Features: ${thousands(any?.features ?? 0)}. Command: \`npx tsx bench/catalogue.ts\`. Results: bench/results/catalogue.json.`,
  "",
);
for (const section of [imports, pages, searches, recall, feature, growth, peer, nearest]) section();

const file = path.join(env.root, "docs", "performance.md");
const text = readFileSync(file, "utf8");
const [start, end] = ["<!-- catalogue: made by bench/catalogue-report.ts -->", "<!-- /catalogue -->"];
const [from, to] = [text.indexOf(start), text.indexOf(end)];
if (from < 0 || to < 0) throw new Error(`${file} lacks the marks.`);
writeFileSync(file, `${text.slice(0, from + start.length)}\n\n${lines.join("\n")}${text.slice(to)}`);
