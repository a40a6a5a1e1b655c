import { TokenBars } from "@/components/charts/token-bars";
import { Term } from "@/components/ui/term";
import type { FeatureDetail } from "@/lib/core/records";

const shown = 8;

/** The tokens that a feature pushes the model to say, and those whose embedding it answers to. */
export function FeatureTokens({ detail }: { detail: FeatureDetail }) {
  const { writes, reads } = detail.tokens;
  if (writes.length === 0 && reads.length === 0) return <p className="text-muted text-sm">None is stored for this feature.</p>;
  return (
    <div className="grid grid-cols-[repeat(auto-fit,minmax(9rem,1fr))] gap-x-6 gap-y-4">
      {writes.length > 0 && (
        <div>
          <p className="mb-1 text-[0.8125rem] text-muted">
            <Term explain="Decoder row times unembedding: the tokens that the feature makes likelier.">Writes</Term>
          </p>
          <TokenBars tokens={writes.slice(0, shown)} label="Tokens it writes" />
        </div>
      )}
      {reads.length > 0 && (
        <div>
          <p className="mb-1 text-[0.8125rem] text-muted">
            <Term explain="Encoder row times embedding: the tokens that it answers to.">Reads</Term>
          </p>
          <TokenBars tokens={reads.slice(0, shown)} label="Tokens it reads" />
        </div>
      )}
    </div>
  );
}
