"use client";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { routes } from "@/lib/core/routes";

/** What a page shows when it could not be made. The server keeps the cause in its log under the digest. */
export default function PageError({ error, retry }: { error: Error & { digest?: string }; retry: () => void }) {
  return (
    <ErrorState
      page
      error={{
        code: error.digest ? `internal · ${error.digest}` : "internal",
        message: "This page could not be made.",
        fix: "Nothing was changed. Try again; if it fails again, see the server's log.",
        retry: true,
      }}
      onRetry={retry}
      action={<LinkButton href={routes.home()}>Go home</LinkButton>}
    />
  );
}
