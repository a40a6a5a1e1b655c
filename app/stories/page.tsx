import { BookOpen } from "lucide-react";
import type { Metadata } from "next";
import { StoryView } from "@/components/stories/story-view";
import { EmptyState } from "@/components/ui/empty-state";
import { LinkButton } from "@/components/ui/link-button";
import { getDatabase } from "@/lib/catalog/db";
import { listStories } from "@/lib/catalog/stories";
import { routes } from "@/lib/core/routes";
import { MissingPage, missingHere } from "../missing-page";

export const metadata: Metadata = {
  title: "Stories",
  description: "Three answers of a multimodal model, each traced to a feature and changed by it, from the question to the new answer.",
};

export default async function StoriesPage({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const { story: wanted } = await searchParams;
  const stories = await listStories(await getDatabase());
  const story = stories.find(({ kind }) => kind === wanted) ?? stories[0];
  if (!story) {
    return (
      <EmptyState
        page
        icon={<BookOpen aria-hidden />}
        title="This catalogue has no guided stories."
        action={<LinkButton href={routes.home()}>Home</LinkButton>}
      >
        They come with the embedded model’s bundle, which <code className="font-mono">npm start</code> imports, and are about that model
        alone.
      </EmptyState>
    );
  }
  return <StoryView story={story} stories={stories} />;
}
