"use client";
import { useQueries } from "@tanstack/react-query";
import { MessageCircleQuestion } from "lucide-react";
import Link from "next/link";
import { useContext } from "react";
import { cn } from "@/components/ui/cn";
import { featureQueryOptions } from "@/lib/api/feature";
import { formatActivation, formatIndex, formatPercent } from "@/lib/core/format";
import type { ActiveFeature, Arm } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import { armWords } from "./arm-words";
import { type ArmRun, isSweepArm } from "./run-state";
import { compareToken, type TokenColumn } from "./token-compare";
import { WhyContext } from "./why-context";

interface TokenPanelProps {
  own: ArmRun;
  arms: readonly ArmRun[];
  /** The token's place in the answer. */
  place: number;
  /** `<model>/<dictionary>` of its features. */
  dictionary: string | null;
}

/** Short names, for the heads of narrow columns. */
const heads: Partial<Record<Arm, string>> = { reconstruction: "Reconstr.", random: "Random" };
const headOf = (arm: Arm) => heads[arm] ?? (isSweepArm(arm) ? "Here" : armWords(arm).name);

/** "12 %", or "<0.3 %" where it is only known to be below. */
const formatShare = ({ share, below }: { share: number; below: boolean }) =>
  `${below ? "<" : ""}${formatPercent(share).replace(/^</, below ? "" : "<")}`;

/** How a panel's width follows from how many arms it compares, in pixels. */
export const panelWidth = (arms: number) => 180 + 88 * arms;

/** A generated token: what might have stood there in each arm, and which features are active on it. */
export function TokenPanel({ own, arms, place, dictionary }: TokenPanelProps) {
  const { columns, rows } = compareToken(own, arms, place);
  const features = own.tokens[place]?.features;
  const why = useContext(WhyContext)(own.arm, place);
  return (
    <>
      <table className="num w-full">
        <caption className="mb-1 text-left text-muted text-xs">Token {place + 1}: what it might have been</caption>
        <thead className="text-muted text-xs">
          <tr>
            <th scope="col" className="text-left font-normal">
              <span className="sr-only">Word</span>
            </th>
            {columns.map(({ arm }) => (
              <th key={arm} scope="col" className="pr-1 pl-4 text-right font-normal">
                {headOf(arm)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ id, text, shares }) => (
            <tr key={id}>
              <th scope="row" dir="auto" className="max-w-40 truncate py-0.5 text-left font-normal">
                {text}
              </th>
              {shares.map((share, i) => {
                const column = columns[i] as TokenColumn;
                return (
                  <td
                    key={column.arm}
                    className={cn("relative py-0.5 pr-1 pl-4 text-right", column.written === id ? "font-semibold" : "text-muted")}
                  >
                    {share && !share.below && (
                      <span
                        aria-hidden
                        className="absolute inset-y-0.5 right-0 rounded-sm bg-accent-soft"
                        style={{ width: `calc(${share.share} * (100% - 0.75rem))` }}
                      />
                    )}
                    <span className="relative">{share === null ? "ended" : formatShare(share)}</span>
                    {column.written === id && <span className="sr-only"> (written)</span>}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      <Prefixes columns={columns} place={place} />
      {features && dictionary && <Features features={features} dictionary={dictionary} />}
      {why && (
        <Link
          href={why}
          className="mt-3 inline-flex min-h-8 items-center gap-2 rounded-sm font-medium text-accent underline-offset-4 hover:underline"
        >
          <MessageCircleQuestion className="size-4" aria-hidden />
          Why this word?
        </Link>
      )}
    </>
  );
}

function Prefixes({ columns, place }: { columns: readonly TokenColumn[]; place: number }) {
  const other = columns.filter(({ samePrefix }) => !samePrefix).map(({ arm }) => headOf(arm));
  if (other.length === 0) return null;
  return (
    <p className="mt-1 text-muted text-xs">
      {other.join(" and ")} had written other words before: {other.length === 1 ? "its column is" : "their columns are"} of{" "}
      {other.length === 1 ? "its" : "their"} own token {place + 1}.
    </p>
  );
}

function Features({ features, dictionary }: { features: readonly ActiveFeature[]; dictionary: string }) {
  const details = useQueries({ queries: features.map(({ index }) => featureQueryOptions(dictionary, index)) });
  if (features.length === 0) return <p className="mt-3 text-muted text-xs">No feature is active on this token.</p>;
  return (
    <div className="mt-3">
      <p className="mb-1 text-muted text-xs">Active on this token</p>
      <ul>
        {features.map(({ index, before, after }, i) => {
          const label = details[i]?.data?.feature.label;
          // A name that could not be fetched is not one that the feature lacks.
          const unnamed = details[i]?.isPending ? "…" : details[i]?.isError ? "feature" : "unexplained feature";
          return (
            <li key={index} className="flex items-baseline justify-between gap-3 py-0.5">
              <Link
                href={routes.feature(dictionary, index)}
                className="flex min-w-0 items-baseline gap-1.5 text-accent underline-offset-4 hover:underline"
              >
                <span dir="auto" className={cn("truncate", !label && "text-muted italic")}>
                  {label ?? unnamed}
                </span>
                <span className="shrink-0 font-mono text-xs">{formatIndex(index)}</span>
              </Link>
              <span className="num shrink-0 text-muted text-xs">
                {Math.abs(before - after) < 0.005 * Math.max(before, after)
                  ? formatActivation(after)
                  : `${formatActivation(before)} → ${formatActivation(after)}`}
              </span>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
