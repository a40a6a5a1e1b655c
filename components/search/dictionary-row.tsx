"use client";
import Link from "next/link";
import { ExamplePicture } from "@/components/heatmap/example-picture";
import type { Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { DictionaryFacts } from "./dictionary-head";

const thumbnails = 5;

/** A dictionary on the home page: what it is, how good, and five of its features. */
export function DictionaryRow({ dictionary }: { dictionary: Dictionary }) {
  return (
    <article className="group relative grid gap-x-8 gap-y-4 rounded-xl bg-raised p-4 ring-1 ring-line transition-shadow duration-100 hover:shadow-md sm:p-6 lg:grid-cols-[minmax(0,1fr)_auto]">
      <div className="flex min-w-0 flex-col justify-between gap-4">
        <h3 className="min-w-0">
          <Link
            href={routes.dictionary(dictionary.ref)}
            className="block rounded-sm outline-none after:absolute after:inset-0 after:rounded-xl focus-visible:after:outline-2 focus-visible:after:outline-focus"
          >
            <span className="block text-muted text-sm">{dictionary.model.name}</span>
            <span className="block truncate font-semibold text-lg underline-offset-4 group-hover:underline">
              Block {dictionary.layer} <span className="font-mono font-normal text-base text-muted">{dictionary.hook}</span>
            </span>
          </Link>
        </h3>
        <DictionaryFacts dictionary={dictionary} className="relative z-10 flex flex-wrap gap-x-5 gap-y-1 self-start text-sm" />
      </div>
      <ul className="relative z-10 grid grid-cols-5 gap-2 lg:w-[34rem]">
        {dictionary.examples.slice(0, thumbnails).map((card) => {
          const example = card.top[0];
          if (!example) return null;
          return (
            <li key={card.index} className="min-w-0">
              <Link href={routes.feature(dictionary.ref, card.index)} prefetch={false} className="block rounded-md">
                <ExamplePicture example={example} max={card.maxActivation} size={104} loading="eager" className="rounded-md bg-sunken" />
                <span dir="auto" className="mt-1 block truncate text-muted text-xs hover:text-ink">
                  {card.label ?? `#${card.index}`}
                </span>
              </Link>
            </li>
          );
        })}
      </ul>
    </article>
  );
}
