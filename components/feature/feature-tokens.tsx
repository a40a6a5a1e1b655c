import { TokenBars } from "@/components/charts/token-bars";
import { Term } from "@/components/ui/term";
import type { FeatureDetail } from "@/lib/core/records";

const shown = 8;

const kinds = [
  { key: "writes", name: "Writes", explain: "Decoder row times unembedding: the tokens that the feature makes likelier." },
  { key: "suppresses", name: "Suppresses", explain: "Decoder row times unembedding: the tokens that the feature makes less likely." },
  { key: "reads", name: "Reads", explain: "Encoder row times embedding: the tokens that it answers to." },
] as const;

/** The tokens that a feature pushes the model to say or not to say, and those whose embedding it answers to. */
export function FeatureTokens({ detail }: { detail: FeatureDetail }) {
  const stored = kinds.filter(({ key }) => detail.tokens[key].length > 0);
  if (stored.length === 0) return <p className="text-muted text-sm">None is stored for this feature.</p>;
  return (
    <div className="grid grid-cols-[repeat(auto-fit,minmax(9rem,1fr))] gap-x-6 gap-y-4">
      {stored.map(({ key, name, explain }) => (
        <div key={key}>
          <p className="mb-1 text-[0.8125rem] text-muted">
            <Term explain={explain}>{name}</Term>
          </p>
          <TokenBars tokens={detail.tokens[key].slice(0, shown)} label={`Tokens it ${name.toLowerCase()}`} />
        </div>
      ))}
    </div>
  );
}
