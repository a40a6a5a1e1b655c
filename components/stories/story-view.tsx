import Link from "next/link";
import { Breadcrumbs } from "@/components/shell/breadcrumbs";
import { inPrint } from "@/lib/core/format";
import { routes } from "@/lib/core/routes";
import type { KeptStory } from "@/lib/core/story";
import { storyNames } from "@/lib/core/story-words";
import { StorySearch, StorySteps } from "./story-steps";

/** One story beside its picture, with a way to the others. */
export function StoryView({ story, stories }: { story: KeptStory; stories: readonly KeptStory[] }) {
  const { kind, picture, truth, request } = story;
  return (
    <div className="mx-auto w-full max-w-5xl px-4 pt-4 pb-10 sm:px-6">
      <Breadcrumbs items={[{ name: "Home", href: routes.home() }, { name: "Stories" }]} />
      <h1 className="mt-2 text-pretty font-semibold text-xl leading-snug sm:text-2xl">{storyNames[kind]}</h1>
      <nav aria-label="Stories" className="mt-4">
        <ul className="flex flex-wrap gap-x-5 gap-y-1 text-sm">
          {stories.map((one) => (
            <li key={one.kind}>
              <Link
                href={routes.stories({ story: one.kind })}
                aria-current={one.kind === kind ? "page" : undefined}
                className="inline-flex min-h-10 items-center rounded-sm text-muted underline-offset-8 hover:text-ink aria-[current=page]:font-medium aria-[current=page]:text-ink aria-[current=page]:underline"
              >
                {storyNames[one.kind]}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="mt-6 grid gap-x-12 gap-y-6 md:grid-cols-[minmax(0,20rem)_minmax(0,1fr)]">
        <figure className="md:sticky md:top-20 md:self-start">
          {/* biome-ignore lint/performance/noImgElement: content-addressed; nothing to optimise */}
          <img
            src={routes.api.image(picture)}
            alt={inPrint(truth) ?? truth}
            width={384}
            height={384}
            className="aspect-square w-full max-w-80 rounded-lg bg-sunken"
          />
          <figcaption className="mt-2 max-w-80 text-muted text-sm">
            Drawn: {inPrint(truth)}.
            <br />
            Dictionary{" "}
            <Link href={routes.dictionary(request.dictionary)} className="break-words rounded-sm underline-offset-4 hover:underline">
              {request.dictionary}
            </Link>
          </figcaption>
        </figure>
        <div className="flex min-w-0 flex-col gap-8">
          <StorySteps story={story} />
          <StorySearch story={story} />
        </div>
      </div>
    </div>
  );
}
