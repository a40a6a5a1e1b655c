"use client";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { routes } from "@/lib/core/routes";

/** What a page shows when it broke. */
export default function PageError({ retry }: { error: Error; retry: () => void }) {
  return (
    <ErrorState
      page
      error={{ code: "internal", message: "This page could not be made.", fix: "Try again; if it fails again, reload it.", retry: true }}
      onRetry={retry}
      action={<LinkButton href={routes.home()}>Go home</LinkButton>}
    />
  );
}
