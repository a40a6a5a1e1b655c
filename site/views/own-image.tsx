"use client";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { OwnImagePlace } from "@/components/own-image/own-image-place";
import { dictionariesQueryOptions } from "@/lib/api/dictionaries";
import { FacetError } from "@/lib/core/errors";
import type { Dictionary } from "@/lib/core/records";
import { Failed, Shown } from "./shown";

export function OwnImagePage() {
  const asked = useSearchParams().get("dictionary");
  return <Shown query={useQuery(dictionariesQueryOptions())}>{(all) => <One dictionaries={all} asked={asked} />}</Shown>;
}

function One({ dictionaries, asked }: { dictionaries: Dictionary[]; asked: string | null }) {
  const chosen =
    asked === null
      ? (dictionaries.find(({ engine }) => engine === "ready") ?? dictionaries[0])
      : dictionaries.find(({ ref }) => ref === asked);
  if (!chosen) return <Failed error={new FacetError("dictionary_not_found", `This copy has no dictionary “${asked}”.`)} />;
  return <OwnImagePlace chosen={chosen} dictionaries={dictionaries} />;
}
