import { Library } from "lucide-react";
import Link from "next/link";
import { ExperimentRow } from "@/components/experiment/experiment-row";
import { DictionaryRow } from "@/components/search/dictionary-row";
import { HighlightCard } from "@/components/search/highlight-card";
import { HomeSearch } from "@/components/search/home-search";
import { StoryCard } from "@/components/stories/story-card";
import { EmptyState } from "@/components/ui/empty-state";
import type { Home } from "@/lib/api/home";
import { routes } from "@/lib/core/routes";

/** The home page: what Facet is, the dictionaries, and where to begin. */
export function HomeView({ dictionaries, examples, highlights, saved, stories }: Home) {
  const [first] = dictionaries;
  if (!first) {
    return (
      <EmptyState page icon={<Library aria-hidden />} title="No dictionary is imported yet.">
        <p>Dictionaries and their features show here once a bundle is imported:</p>
        <code className="mt-3 inline-block rounded-md bg-sunken px-3 py-2 font-mono text-ink text-sm">
          npm run facet -- import &lt;folder&gt;
        </code>
      </EmptyState>
    );
  }
  const attributions = new Set(dictionaries.flatMap((dictionary) => dictionary.attribution ?? []));
  return (
    <div className="mx-auto flex w-full max-w-7xl grow flex-col gap-10 px-4 pt-8 pb-6 sm:px-6 sm:pt-12">
      <section aria-label="About Facet and search">
        <h1 className="max-w-3xl text-balance font-semibold text-xl leading-snug sm:text-2xl">
          Facet shows the features that sparse autoencoders find inside large multimodal models.
        </h1>
        <p className="mt-3 mb-6 max-w-3xl text-muted">
          See what each one fires on, judge its explanation by its scores, then turn it up or down and read how the model’s answer changes.
        </p>
        <HomeSearch dictionary={{ ref: first.ref, numLatents: first.numLatents }} examples={examples} />
      </section>
      <section aria-labelledby="dictionaries">
        <h2 id="dictionaries" className="mb-3 text-muted text-sm">
          Dictionaries
        </h2>
        <div className="flex flex-col gap-4">
          {dictionaries.map((dictionary) => (
            <DictionaryRow key={dictionary.ref} dictionary={dictionary} />
          ))}
        </div>
      </section>
      <p className="-mt-4 text-sm">
        <Link href={routes.ownImage()} className="rounded-sm text-accent underline underline-offset-4">
          Look at a picture of your own
        </Link>{" "}
        <span className="text-muted">in this browser: it stays on your machine</span>
      </p>
      {highlights.length > 0 && (
        <section aria-labelledby="start">
          <h2 id="start" className="mb-1 text-muted text-sm">
            Start here
          </h2>
          <div className="-mx-3 grid grid-cols-1 gap-2 lg:grid-cols-3">
            {highlights.map(({ dictionary: { ref, numLatents, hook, engine }, card, reason }) => (
              <HighlightCard key={`${ref}/${card.index}`} dictionary={{ ref, numLatents, hook, engine }} card={card} reason={reason} />
            ))}
          </div>
        </section>
      )}
      {stories.length > 0 && (
        <section aria-labelledby="stories">
          <h2 id="stories" className="mb-1 text-muted text-sm">
            Why did it say that? Answers traced to a feature, and changed
          </h2>
          <div className="-mx-3 grid grid-cols-1 gap-2 lg:grid-cols-3">
            {stories.map((story) => (
              <StoryCard key={story.experiment} story={story} />
            ))}
          </div>
        </section>
      )}
      {saved && (
        <section aria-labelledby="saved">
          <div className="mb-3 flex flex-wrap items-baseline justify-between gap-x-4 text-sm">
            <h2 id="saved" className="text-muted">
              A saved experiment: the answer before and after
            </h2>
            <Link href={routes.experiments()} className="rounded-sm text-accent underline-offset-4 hover:underline">
              All saved experiments
            </Link>
          </div>
          <ExperimentRow experiment={saved} heading="h3" />
        </section>
      )}
      <footer className="mt-auto border-line border-t pt-4 text-muted text-xs">
        {[...attributions].map((attribution) => (
          <p key={attribution} className="max-w-4xl">
            Pictures: {attribution}
          </p>
        ))}
      </footer>
    </div>
  );
}
