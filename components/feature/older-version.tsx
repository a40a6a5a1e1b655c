import Link from "next/link";
import { goneVersion } from "@/lib/core/gone-version";
import type { FeatureDetail } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";

interface OlderVersionProps {
  detail: FeatureDetail;
  /** What the address names as its version, if anything. */
  pinned: string | null;
}

/** Where a pinned link shows another version than the one that it names, or an older one than the latest: says so, and leads to the latest. */
export function OlderVersion({ detail, pinned }: OlderVersionProps) {
  const { dictionary, feature } = detail;
  const gone = goneVersion(dictionary, pinned);
  const latest = dictionary.versions[0];
  const older = latest !== undefined && latest !== dictionary.version;
  if (gone === null && !older) return null;
  return (
    <p role="note" className="mb-2 rounded-md bg-sunken px-3 py-2 text-sm">
      {gone !== null ? (
        <>
          This link is pinned to <code className="font-mono">{gone}</code>, which this catalogue no longer has. This is{" "}
          <code className="font-mono">{dictionary.version.slice(0, 12)}</code>: the same weights with other examples, explanations or
          scores.{" "}
        </>
      ) : (
        <>
          This link is pinned to <code className="font-mono">{dictionary.version.slice(0, 12)}</code>, an older version of the dictionary.{" "}
        </>
      )}
      {older && (
        <Link href={routes.feature(dictionary.ref, feature.index)} className="text-accent underline underline-offset-4">
          Open #{feature.index} of the latest
        </Link>
      )}
    </p>
  );
}
