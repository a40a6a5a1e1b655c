"use client";
import Link from "next/link";
import { Fragment, type ReactNode } from "react";
import { Breadcrumbs } from "@/components/shell/breadcrumbs";
import { Term } from "@/components/ui/term";
import { formatCount, formatPercent, formatShare } from "@/lib/core/format";
import type { Dictionary } from "@/lib/core/records";
import { noEngineHere, routes } from "@/lib/core/routes";

interface Fact {
  name: string;
  explain: string;
  value: ReactNode;
}

/** The numbers that tell how good a dictionary is. */
export function dictionaryFacts(dictionary: Omit<Dictionary, "examples">): Fact[] {
  const { metrics, counts } = dictionary;
  const facts: (Fact | null)[] = [
    {
      name: "Latents",
      explain: "Features that the dictionary has; each is one direction in the hidden state.",
      value: `${formatCount(dictionary.numLatents)}${dictionary.k ? `, ${dictionary.k} active a token` : ""}`,
    },
    metrics.explainedVariance === null
      ? null
      : {
          name: "Explained variance",
          explain: "Share of the hidden state's variance, on held-out tokens, that the dictionary rebuilds.",
          value: formatShare(metrics.explainedVariance),
        },
    {
      name: "Explained",
      explain: "Share of the features that ever fire which have a readable explanation.",
      value: formatPercent(counts.alive ? counts.explained / counts.alive : null),
    },
    metrics.deadShare === null
      ? null
      : { name: "Dead", explain: "Share of the features that fire on nothing.", value: formatPercent(metrics.deadShare) },
    counts.images === 0
      ? null
      : { name: "Images", explain: "Pictures of the catalogue on which the features were measured.", value: formatCount(counts.images) },
    dictionary.versions.length < 2
      ? null
      : {
          name: "Older versions",
          explain: "What was imported under this name before. It is kept, so that links pinned to it still open.",
          value: <OlderVersions dictionary={dictionary} />,
        },
    dictionary.engine === "ready"
      ? null
      : {
          name: "Engine",
          ...(dictionary.engine === "unreachable"
            ? {
                explain: "The worker that is to run this dictionary does not answer now. Its features can be browsed meanwhile.",
                value: "not reachable",
              }
            : {
                explain: `${noEngineHere}. Its features can be browsed, not steered with.`,
                value: "none, browse only",
              }),
        },
  ];
  return facts.filter((fact) => fact !== null);
}

/** How many are named; `facet list` names all. */
const namedVersions = 3;

function OlderVersions({ dictionary: { ref, version: own, versions } }: { dictionary: Omit<Dictionary, "examples"> }) {
  const older = versions.slice(1).map((version) => version.slice(0, 12));
  return (
    <>
      {older.slice(0, namedVersions).map((version, i) => (
        <Fragment key={version}>
          {i > 0 && ", "}
          <Link
            href={routes.dictionary(ref, { v: version })}
            aria-current={own.startsWith(version) ? "page" : undefined}
            className="relative z-10 font-mono text-accent underline underline-offset-4"
          >
            {version}
          </Link>
        </Fragment>
      ))}
      {older.length > namedVersions && ` and ${older.length - namedVersions} more`}
    </>
  );
}

export function DictionaryFacts({ dictionary, className }: { dictionary: Omit<Dictionary, "examples">; className?: string }) {
  return (
    <dl className={className}>
      {dictionaryFacts(dictionary).map((fact) => (
        <div key={fact.name} className="flex min-w-0 items-baseline gap-1.5">
          <dt className="whitespace-nowrap text-muted">
            <Term explain={fact.explain}>{fact.name}</Term>
          </dt>
          <dd className="num">{fact.value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function DictionaryHead({ dictionary }: { dictionary: Omit<Dictionary, "examples"> }) {
  return (
    <div className="flex flex-wrap items-end justify-between gap-x-8 gap-y-2 pt-4 pb-3 max-sm:flex-col max-sm:items-stretch max-sm:flex-nowrap">
      <div className="min-w-0">
        <Breadcrumbs
          items={[{ name: "Facet", href: routes.home() }, { name: dictionary.model.name, href: routes.home() }, { name: dictionary.id }]}
        />
        <h1 className="mt-1 truncate font-semibold text-xl">
          Features at <span className="font-mono text-lg">{dictionary.hook}</span>
        </h1>
      </div>
      <DictionaryFacts dictionary={dictionary} className="flex flex-wrap gap-x-5 gap-y-1 text-sm" />
    </div>
  );
}
