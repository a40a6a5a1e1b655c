import { dehydrate, HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { ExperimentList } from "@/components/experiment/experiment-list";
import { makeQueryClient } from "@/components/shell/query-client";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { experimentsInfiniteOptions, experimentsQuerySchema } from "@/lib/api/experiments";
import { parseInput } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { listExperiments } from "@/lib/catalog/experiments";
import { asFacetError } from "@/lib/core/errors";
import { routes } from "@/lib/core/routes";

export const metadata: Metadata = {
  title: "Experiments",
  description: "Saved steering experiments: what was asked, which features were held, what was answered with and without them.",
};

export default async function ExperimentsPage({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const given = (await searchParams).q;
  try {
    const { q, limit } = parseInput(experimentsQuerySchema, { q: ((Array.isArray(given) ? given[0] : given) ?? "").trim() });
    const client = makeQueryClient();
    const database = await getDatabase();
    await client.prefetchInfiniteQuery({
      queryKey: experimentsInfiniteOptions(q).queryKey,
      queryFn: ({ pageParam }) => listExperiments(database, { q, limit, cursor: pageParam }),
      initialPageParam: null as string | null,
    });
    return (
      <HydrationBoundary state={dehydrate(client)}>
        <ExperimentList search={q} />
      </HydrationBoundary>
    );
  } catch (thrown) {
    const error = asFacetError(thrown);
    if (error.code === "internal") throw thrown;
    return <ErrorState page error={error.toJSON()} action={<LinkButton href={routes.experiments()}>Show all experiments</LinkButton>} />;
  }
}
