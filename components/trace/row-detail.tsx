"use client";
import { FlaskConical, SquareArrowOutUpRight } from "lucide-react";
import type { ReactNode } from "react";
import { LinkButton } from "@/components/ui/link-button";
import type { Intervention } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import type { TraceControl } from "@/lib/core/trace-link";
import { AskAgain } from "./ask-again";
import { useAsking } from "./asking";
import type { RankedRow } from "./contributions";
import { ControlNote } from "./control-note";
import { formatContribution } from "./format";

interface RowDetailProps {
  row: RankedRow;
  /** The control whose answer is explained, where it is one's. */
  control: TraceControl | null;
  decimals: number;
  /** Where the feature was seen, for windows in which nothing stands beside the list. */
  where: ReactNode;
}

/** Removed wherever it is active: what its contribution says would be missing. */
export const removal = (feature: number): Intervention => ({ feature, op: "ablate", value: 0, unit: "max", scope: { type: "all" } });

/** What can be done with one feature of the list. */
export function RowDetail({ row, control, decimals, where }: RowDetailProps) {
  const { dictionary, steerHref } = useAsking();
  const { feature, image, text, measured } = row;
  return (
    <div className="flex flex-col gap-3 px-2 pt-1 pb-4 @xl:pl-8">
      <p className="num text-muted text-sm">
        {formatContribution(image, decimals)} from the picture, {formatContribution(text, decimals)} from words.
        {measured !== null && ` Removed, it takes ${formatContribution(measured, decimals)} away.`}
      </p>
      <div className="lg:hidden">{where}</div>
      <div className="flex flex-wrap gap-2">
        <LinkButton size="sm" href={routes.feature(dictionary, feature)}>
          <SquareArrowOutUpRight aria-hidden />
          Open feature
        </LinkButton>
        {!control && (
          <LinkButton size="sm" href={steerHref([removal(feature)])}>
            <FlaskConical aria-hidden />
            Add to the sandbox
          </LinkButton>
        )}
      </div>
      {control ? (
        <ControlNote control={control} />
      ) : (
        <AskAgain name={`remove ${feature}`} clamps={[removal(feature)]} action="Remove it and ask again" />
      )}
    </div>
  );
}
