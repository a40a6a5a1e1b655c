import Link from "next/link";
import type { FeatureDetail } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";

/** Where a pinned link shows an older version than the catalogue's latest: says so, and leads to the latest. */
export function OlderVersion({ detail }: { detail: FeatureDetail }) {
  const { dictionary, feature } = detail;
  const latest = dictionary.versions[0];
  if (latest === undefined || latest === dictionary.version) return null;
  return (
    <p role="note" className="mb-2 rounded-md bg-sunken px-3 py-2 text-sm">
      This link is pinned to <code className="font-mono">{dictionary.version.slice(0, 12)}</code>, an older version of the dictionary.{" "}
      <Link href={routes.feature(dictionary.ref, feature.index)} className="text-accent underline underline-offset-4">
        Open #{feature.index} of the latest
      </Link>
    </p>
  );
}
