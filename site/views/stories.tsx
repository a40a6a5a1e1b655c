"use client";
import { useQuery } from "@tanstack/react-query";
import { BookOpen } from "lucide-react";
import { useSearchParams } from "next/navigation";
import { StoryView } from "@/components/stories/story-view";
import { EmptyState } from "@/components/ui/empty-state";
import { LinkButton } from "@/components/ui/link-button";
import { storiesQueryOptions } from "@/lib/api/home";
import { routes } from "@/lib/core/routes";
import { Shown } from "./shown";

export function StoriesPage() {
  const wanted = useSearchParams().get("story");
  const query = useQuery(storiesQueryOptions());
  return (
    <Shown query={query}>
      {(stories) => {
        const story = stories.find(({ kind }) => kind === wanted) ?? stories[0];
        if (story) return <StoryView story={story} stories={stories} />;
        return (
          <EmptyState
            page
            icon={<BookOpen aria-hidden />}
            title="This catalogue has no guided stories."
            action={<LinkButton href={routes.home()}>Home</LinkButton>}
          />
        );
      }}
    </Shown>
  );
}
