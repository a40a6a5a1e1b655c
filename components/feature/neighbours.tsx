import Link from "next/link";
import { ExamplePicture } from "@/components/heatmap/example-picture";
import { Term } from "@/components/ui/term";
import { formatIndex, formatScore } from "@/lib/core/format";
import type { FeatureDetail, Neighbour } from "@/lib/core/records";

const kinds = {
  decoder: { name: "Same direction", unit: "cosine", explains: "Cosine of the decoder rows: how alike the two push the model." },
  coactive: { name: "Fire together", unit: "overlap", explains: "Jaccard overlap of the image tokens on which the two are active." },
} as const;

/** Nearest features as small cards, of both kinds. */
export function Neighbours({ detail, hrefOf }: { detail: FeatureDetail; hrefOf: (index: number) => string }) {
  const groups = (["decoder", "coactive"] as const)
    .map((kind) => ({ kind, items: detail.neighbours.filter((neighbour) => neighbour.kind === kind).slice(0, 6) }))
    .filter((group) => group.items.length > 0);
  if (groups.length === 0) return <p className="text-muted text-sm">None is stored for this feature.</p>;
  return (
    <div className="space-y-4">
      {groups.map(({ kind, items }) => (
        <div key={kind}>
          <p className="mb-1 text-[0.8125rem] text-muted">
            <Term explain={kinds[kind].explains}>{kinds[kind].name}</Term> ({kinds[kind].unit})
          </p>
          <ul className="grid grid-cols-[repeat(auto-fill,minmax(9.5rem,1fr))] gap-1">
            {items.map((neighbour) => (
              <li key={neighbour.index}>
                <NeighbourCard
                  neighbour={neighbour}
                  numLatents={detail.dictionary.numLatents}
                  href={hrefOf(neighbour.index)}
                  unit={kinds[kind].unit}
                />
              </li>
            ))}
          </ul>
        </div>
      ))}
    </div>
  );
}

interface NeighbourCardProps {
  neighbour: Neighbour;
  numLatents: number;
  href: string;
  unit: string;
}

function NeighbourCard({ neighbour, numLatents, href, unit }: NeighbourCardProps) {
  const { top, label, value, index } = neighbour;
  return (
    <Link href={href} className="-mx-1 flex items-center gap-2 rounded-md p-1 hover:bg-sunken">
      {top && (
        <span className="size-12 shrink-0 overflow-hidden rounded-sm bg-sunken">
          <ExamplePicture example={top} max={null} size={48} />
        </span>
      )}
      <span className="min-w-0 text-sm leading-5">
        <span dir="auto" className={`block truncate ${label ? "" : "text-muted"}`}>
          {label ?? "unexplained"}
        </span>
        <span className="num block whitespace-nowrap text-[0.8125rem] text-muted">
          <span className="font-mono">{formatIndex(index, numLatents)}</span>
          <span aria-hidden> · </span>
          <span className="sr-only">, {unit} </span>
          {formatScore(value)}
        </span>
      </span>
    </Link>
  );
}
