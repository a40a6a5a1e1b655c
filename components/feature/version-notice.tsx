import { GitCompareArrows } from "lucide-react";
import { EmptyState } from "@/components/ui/empty-state";
import { LinkButton } from "@/components/ui/link-button";
import { routes } from "@/lib/core/routes";

interface VersionNoticeProps {
  dictionary: string;
  index: number;
  /** First 12 digits of the hash that the link pins, as given. */
  asked: string;
  /** Those of the dictionary at hand. */
  present: string;
}

/** A pinned link to another version: says so instead of showing a different feature under the same number. */
export function VersionNotice({ dictionary, index, asked, present }: VersionNoticeProps) {
  return (
    <>
      <h1 className="sr-only">
        Feature #{index} of {dictionary}, version {asked.slice(0, 12)}
      </h1>
      <EmptyState
        title="This link is pinned to another version of the dictionary."
        icon={<GitCompareArrows />}
        className="grow justify-center"
        action={
          <div className="flex flex-wrap justify-center gap-2">
            <LinkButton href={routes.feature(dictionary, index)}>Open feature #{index} of the version here</LinkButton>
            <LinkButton href={routes.dictionary(dictionary)} variant="ghost">
              See its features
            </LinkButton>
          </div>
        }
      >
        <p>
          It asks for <code className="break-all font-mono">{asked.slice(0, 64)}</code>; imported here is{" "}
          <code className="font-mono">{present}</code> of {dictionary}. The same number may mean something else there, so nothing is shown
          in its place.
        </p>
      </EmptyState>
    </>
  );
}
