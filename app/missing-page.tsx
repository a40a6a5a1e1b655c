import { headers } from "next/headers";
import { VersionNotice } from "@/components/feature/version-notice";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { ReloadButton } from "@/components/ui/reload-button";
import { type Missing, missingStatus, readMissing } from "@/lib/core/missing";
import { routes, splitRef } from "@/lib/core/routes";
import { visible } from "@/lib/core/visible";

function DictionariesLink({ quiet = false }: { quiet?: boolean }) {
  return (
    <LinkButton href={routes.home()} variant={quiet ? "ghost" : undefined}>
      See the dictionaries
    </LinkButton>
  );
}

/** Why the page's address cannot be shown, as proxy.ts found before it chose the status. */
export async function missingHere(): Promise<Missing | null> {
  return readMissing(await headers());
}

/** Of the window that shows a `MissingPage`. */
export function missingTitle(missing: Missing): string {
  if (missing.kind === "version") return "Another version";
  return missingStatus(missing) === 404 ? "Not found" : "Error";
}

/** In place of a page: which part of its address names nothing here, or what else is in its way, and a way to what is there. */
export function MissingPage({ missing }: { missing: Missing }) {
  if (missing.kind === "error") {
    const { error, ref } = missing;
    return (
      <ErrorState
        page
        error={error}
        action={
          <div className="flex flex-wrap justify-center gap-2">
            {error.retry && <ReloadButton />}
            {ref !== undefined && <LinkButton href={routes.dictionary(ref)}>Open the whole list</LinkButton>}
          </div>
        }
      />
    );
  }
  if (missing.kind === "version") {
    return <VersionNotice dictionary={missing.ref} index={missing.index} asked={visible(missing.asked, 64)} present={missing.present} />;
  }
  if (missing.kind === "feature") {
    const { model, dictionary } = splitRef(missing.ref);
    return (
      <EmptyState
        title={`There is no feature ${visible(missing.index, 13)} in ${dictionary} of ${model}.`}
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
      <EmptyState
        title={`There is no dictionary “${visible(missing.ref)}” here.`}
        page
        action={
          <div className="flex flex-wrap justify-center gap-2">
            {missing.sha256 && <LinkButton href={routes.image(missing.sha256)}>See the picture with another</LinkButton>}
            <DictionariesLink quiet={missing.sha256 !== undefined} />
          </div>
        }
      >
        The link may be from another catalogue, or the dictionary is no longer imported.
      </EmptyState>
    );
  }
  if (missing.kind === "experiment") {
    return (
      <EmptyState
        title={`There is no experiment ${visible(missing.id, 20)} here.`}
        page
        action={<LinkButton href={routes.experiments()}>See the saved experiments</LinkButton>}
      >
        The link may be from another catalogue, or not whole.
      </EmptyState>
    );
  }
  return (
    <EmptyState title={`There is no picture ${visible(missing.sha256.slice(0, 12), 12)} here.`} page action={<DictionariesLink />}>
      A picture's address ends with the SHA-256 of its file. The link may be from another catalogue.
    </EmptyState>
  );
}
