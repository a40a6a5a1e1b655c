import { headers } from "next/headers";
import { EmptyState } from "@/components/ui/empty-state";
import { LinkButton } from "@/components/ui/link-button";
import { type Missing, readMissing } from "@/lib/core/missing";
import { routes, splitRef } from "@/lib/core/routes";

function DictionariesLink({ quiet = false }: { quiet?: boolean }) {
  return (
    <LinkButton href={routes.home()} variant={quiet ? "ghost" : undefined}>
      See the dictionaries
    </LinkButton>
  );
}

/** What the page's address names and the catalogue lacks, as proxy.ts found before it chose the status. */
export async function missingHere(): Promise<Missing | null> {
  return readMissing(await headers());
}

/** In place of a page: which part of its address names nothing here, and a way to what is there. */
export function MissingPage({ missing }: { missing: Missing }) {
  if (missing.kind === "feature") {
    const { model, dictionary } = splitRef(missing.ref);
    return (
      <EmptyState
        title={`There is no feature ${missing.index.slice(0, 12)} in ${dictionary} of ${model}.`}
        page
        action={
          <div className="flex flex-wrap justify-center gap-2">
            <LinkButton href={routes.dictionary(missing.ref)}>See its features</LinkButton>
            <DictionariesLink quiet />
          </div>
        }
      >
        A feature's address ends with its index, from 0 to the number of latents minus one.
      </EmptyState>
    );
  }
  if (missing.kind === "dictionary") {
    return (
      <EmptyState title={`There is no dictionary “${missing.ref.slice(0, 80)}” here.`} page action={<DictionariesLink />}>
        The link may be from another catalogue, or the dictionary is no longer imported.
      </EmptyState>
    );
  }
  if (missing.kind === "experiment") {
    return (
      <EmptyState
        title={`There is no experiment ${missing.id.slice(0, 20)} here.`}
        page
        action={<LinkButton href={routes.experiments()}>See the saved experiments</LinkButton>}
      >
        The link may be from another catalogue, or not whole.
      </EmptyState>
    );
  }
  return (
    <EmptyState title={`There is no picture ${missing.sha256.slice(0, 12)} here.`} page action={<DictionariesLink />}>
      A picture's address ends with the SHA-256 of its file. The link may be from another catalogue.
    </EmptyState>
  );
}
