"use client";
import type { UseQueryResult } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { asFacetError, type ErrorCode } from "@/lib/core/errors";
import { routes } from "@/lib/core/routes";

/** The window's name, once it is known what the page shows: the page's own file is the same for all. */
export function useTitle(title: string | null | undefined): void {
  // The document's head is outside React.
  useEffect(() => {
    if (title) document.title = `${title} · Facet`;
  }, [title]);
}

/** Space for a page whose data is on the way. */
export function Waiting() {
  return (
    <p role="status" className="sr-only">
      Loading
    </p>
  );
}

/** What to do, where a server's word for it names commands or addresses that a copy has not. */
const fixes: Partial<Record<ErrorCode, string>> = {
  dictionary_not_found: "Choose one of those on the home page.",
  version_mismatch: "A copy has each dictionary in one version: take the v= out of the address to see it.",
  experiment_not_found: "Check the link; the page “Experiments” lists those that this copy has.",
  image_not_found: "Check the link, or choose another picture of a feature's examples.",
};

/** A page whose address names nothing here, or whose data did not come. */
export function Failed({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const failure = asFacetError(error).toJSON();
  return (
    <ErrorState
      page
      error={{ ...failure, fix: fixes[failure.code] ?? failure.fix }}
      onRetry={onRetry}
      action={<LinkButton href={routes.home()}>Go home</LinkButton>}
    />
  );
}

interface ShownProps<T> {
  query: UseQueryResult<T>;
  waiting?: ReactNode;
  children: (data: T) => ReactNode;
}

/** A page of what one query brings. */
export function Shown<T>({ query, waiting = <Waiting />, children }: ShownProps<T>) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failed error={query.error} onRetry={() => void query.refetch()} />;
  return waiting;
}
