import { GitCompareArrows } from "lucide-react";
import { EmptyState } from "@/components/ui/empty-state";
import { LinkButton } from "@/components/ui/link-button";
import { routes } from "@/lib/core/routes";

interface VersionNoticeProps {
  dictionary: string;
  /** Of the feature that the link names. */
  index?: string;
  /** What the link pins, as given. */
  asked: string;
  /** The versions at hand, the latest first. */
  present: string[];
}

/** How many versions are named. */
const named = 3;

/** A pinned link to another version: says so instead of showing a different feature under the same number. */
export function VersionNotice({ dictionary, index, asked, present }: VersionNoticeProps) {
  const shown = present.slice(0, named).map((version) => version.slice(0, 12));
  const rest = present.length - shown.length;
  return (
    <EmptyState
      page
      title="This link is pinned to another version of the dictionary."
      icon={<GitCompareArrows />}
      action={
        <div className="flex flex-wrap justify-center gap-2">
          {index !== undefined && (
            <LinkButton href={routes.feature(dictionary, Number(index))}>Open feature #{index} of the version here</LinkButton>
          )}
          <LinkButton href={routes.dictionary(dictionary)} variant={index === undefined ? undefined : "ghost"}>
            See its features
          </LinkButton>
        </div>
      }
    >
      <p>
        It asks for <code className="break-all font-mono">{asked}</code>; imported here is{" "}
        {shown.map((version, i) => (
          <span key={version}>
            {i > 0 && ", "}
            <code className="font-mono">{version}</code>
          </span>
        ))}
        {rest > 0 && ` and ${rest} more`} of {dictionary}. The same number may mean something else there, so nothing is shown in its place.
      </p>
    </EmptyState>
  );
}
