"use client";
import Link from "next/link";
import { describeScope, describeStrength } from "@/components/steer/clamp-words";
import type { Experiment, ExperimentPicture } from "@/lib/core/experiment";
import { formatIndex, formatNoun } from "@/lib/core/format";
import type { GenerateRequest, Intervention } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";

export interface Grid {
  rows: number;
  cols: number;
}

/** A picture of the request; the cells that a clamp is kept to stay light, the rest is dimmed. */
function Picture({
  picture,
  alt,
  cells,
  grid,
}: {
  picture: ExperimentPicture;
  alt: string;
  cells?: readonly number[];
  grid?: Grid | null;
}) {
  const painted = new Set(cells);
  return (
    <span className="relative block overflow-hidden rounded-md bg-sunken">
      {/* biome-ignore lint/performance/noImgElement: content-addressed; nothing to optimise */}
      <img
        src={routes.api.image(picture.sha256)}
        alt={alt}
        width={picture.width}
        height={picture.height}
        // The model, too, sees it stretched to its square.
        className={cells ? "aspect-square w-full object-fill" : "h-auto max-h-80 w-full object-contain"}
      />
      {cells && grid && (
        <svg viewBox={`0 0 ${grid.cols} ${grid.rows}`} preserveAspectRatio="none" aria-hidden="true" className="absolute inset-0 size-full">
          {Array.from({ length: grid.rows * grid.cols }, (_, cell) => (
            <rect
              // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its place
              key={cell}
              x={cell % grid.cols}
              y={Math.floor(cell / grid.cols)}
              width={1}
              height={1}
              strokeWidth={0.02}
              className={painted.has(cell) ? "fill-transparent stroke-white" : "fill-black/55 stroke-black/30"}
            />
          ))}
        </svg>
      )}
    </span>
  );
}

/** The conversation as it was sent, each turn's pictures before its words. */
export function ChatView({ experiment }: { experiment: Experiment }) {
  const { request, pictures } = experiment;
  return (
    <ol className="flex flex-col gap-3">
      {request.messages.map(({ role, content }, turn) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a turn is its place
        <li key={turn}>
          {request.messages.length > 1 && <p className="mb-1 text-muted text-xs">{role === "user" ? "Asked" : "Answered"}</p>}
          <div className="flex flex-col gap-2">
            {content.map((part, i) => {
              if (part.type === "text") {
                return part.text ? (
                  // biome-ignore lint/suspicious/noArrayIndexKey: a part is its place
                  <p key={i} dir="auto" className="whitespace-pre-wrap break-words">
                    {part.text}
                  </p>
                ) : null;
              }
              const sha256 = "sha256" in part.image ? part.image.sha256 : "";
              const picture = pictures.find((one) => one.sha256 === sha256);
              return picture ? (
                // biome-ignore lint/suspicious/noArrayIndexKey: a part is its place
                <Link key={i} href={routes.image(sha256, { dictionary: request.dictionary })} className="block rounded-md">
                  <Picture picture={picture} alt={`Picture ${sha256.slice(0, 12)}: which features fire on it`} />
                </Link>
              ) : null;
            })}
          </div>
        </li>
      ))}
    </ol>
  );
}

function Clamp({ clamp, experiment, grid }: { clamp: Intervention; experiment: Experiment; grid: Grid | null }) {
  const { request, hashes, clamps, pictures } = experiment;
  const label = clamps.find(({ feature }) => feature === clamp.feature)?.label;
  const region = clamp.scope.type === "region" ? clamp.scope : null;
  const images = request.messages.flatMap(({ content }) => content.flatMap((part) => (part.type === "image" ? [part.image] : [])));
  const image = region ? images[region.image] : undefined;
  const picture = image && "sha256" in image ? pictures.find(({ sha256 }) => sha256 === image.sha256) : undefined;
  return (
    <li className="rounded-md bg-raised px-3 py-2 ring-1 ring-line">
      <Link
        href={routes.feature(request.dictionary, clamp.feature, { v: hashes.dictionary.sha256.slice(0, 12) })}
        className="rounded-sm font-medium underline-offset-4 hover:underline"
      >
        <span dir="auto">{label ?? "Unnamed feature"}</span>{" "}
        <span className="font-mono font-normal text-muted text-sm">{formatIndex(clamp.feature)}</span>
      </Link>
      <p className="num text-muted text-sm">
        {describeStrength(clamp)}, {describeScope(clamp.scope)}
      </p>
      {region && picture && grid && (
        <div className="mt-2 w-32">
          <Picture picture={picture} alt="The cells that the clamp is kept to" cells={region.cells} grid={grid} />
        </div>
      )}
    </li>
  );
}

export function ClampsView({ experiment, grid }: { experiment: Experiment; grid: Grid | null }) {
  const { interventions } = experiment.request;
  if (interventions.length === 0) return <p className="text-muted text-sm">None: the model's plain answer.</p>;
  return (
    <ul className="flex flex-col gap-2">
      {interventions.map((clamp, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: in the request's order; one feature may come twice
        <Clamp key={i} clamp={clamp} experiment={experiment} grid={grid} />
      ))}
    </ul>
  );
}

/** Sampling and mode in a line. */
export function settingsWords({ sampling, mode }: Pick<GenerateRequest, "sampling" | "mode">): string {
  const how = sampling.temperature === 0 ? "Greedy" : `Temperature ${sampling.temperature}, top-p ${sampling.topP}, seed ${sampling.seed}`;
  const method = mode === "reconstruct" ? ", reconstructed by the dictionary" : "";
  return `${how}, up to ${formatNoun(sampling.maxTokens, "token")}${method}`;
}
