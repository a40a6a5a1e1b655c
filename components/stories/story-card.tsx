import { ArrowRight } from "lucide-react";
import Link from "next/link";
import { routes } from "@/lib/core/routes";
import type { KeptStory } from "@/lib/core/story";
import { storyNames } from "@/lib/core/story-words";

/** An answer before and after, in a line. */
export function BeforeAfter({ before, after }: Pick<KeptStory, "before" | "after">) {
  return (
    <span className="inline-flex flex-wrap items-center gap-x-2 font-medium">
      <span className="text-muted line-through decoration-faint">{before}</span>
      <ArrowRight className="size-4 shrink-0 text-faint" aria-label="becomes" />
      <span>{after}</span>
    </span>
  );
}

/** A guided story on the home page: the picture, what was asked, what was answered before and after. */
export function StoryCard({ story }: { story: KeptStory }) {
  const { kind, picture, question, before, after, clamped, request } = story;
  const removed = request.interventions.every(({ op }) => op === "ablate");
  return (
    <article className="group relative flex gap-4 rounded-xl p-3 transition-colors duration-100 hover:bg-raised xl:gap-5">
      {/* biome-ignore lint/performance/noImgElement: content-addressed; nothing to optimise */}
      <img
        src={routes.api.image(picture)}
        alt=""
        width={320}
        height={320}
        loading="lazy"
        className="aspect-square w-28 shrink-0 self-start rounded-lg bg-sunken object-cover sm:w-36"
      />
      <div className="flex min-w-0 flex-col">
        <h3 className="text-pretty font-semibold leading-snug">
          <Link
            href={routes.stories({ story: kind })}
            className="underline-offset-4 outline-none after:absolute after:inset-0 after:rounded-xl focus-visible:after:outline-2 focus-visible:after:outline-focus group-hover:underline"
          >
            {storyNames[kind]}
          </Link>
        </h3>
        <p className="mt-2 text-sm">{question}</p>
        <p className="mt-1">
          <BeforeAfter before={before} after={after} />
        </p>
        <p className="mt-2 text-muted text-sm">
          one feature {removed ? "removed" : "turned up"}: “{clamped.label}”
        </p>
      </div>
    </article>
  );
}
