"use client";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { imageDictionary } from "@/components/image/image-dictionary";
import { ImageView } from "@/components/image/image-view";
import { dictionariesQueryOptions } from "@/lib/api/dictionaries";
import { imageInfoQueryOptions } from "@/lib/api/images";
import { FacetError } from "@/lib/core/errors";
import { inPrint } from "@/lib/core/format";
import { sha256Schema } from "@/lib/core/protocol";
import type { Dictionary, ImageInfo } from "@/lib/core/records";
import { Failed, Shown, useTitle } from "./shown";

export function ImagePage() {
  const search = useSearchParams();
  const asked = search.get("dictionary");
  const sha256 = sha256Schema.safeParse(search.get("sha256")).data;
  const info = useQuery({ ...imageInfoQueryOptions(sha256 ?? ""), enabled: sha256 !== undefined });
  const dictionaries = useQuery(dictionariesQueryOptions());
  useTitle(info.data && (inPrint(info.data.caption) ?? `Picture ${info.data.sha256.slice(0, 12)}`));
  if (sha256 === undefined) {
    return <Failed error={new FacetError("image_not_found", "The address names no picture: it says sha256= and 64 digits.")} />;
  }
  return (
    <Shown query={info}>
      {(info) => <Shown query={dictionaries}>{(all) => <One info={info} dictionaries={all} asked={asked} />}</Shown>}
    </Shown>
  );
}

function One({ info, dictionaries, asked }: { info: ImageInfo; dictionaries: Dictionary[]; asked: string | null }) {
  const chosen =
    asked === null
      ? (dictionaries.find((one) => one.engine === "ready") ?? dictionaries[0])
      : dictionaries.find((one) => one.ref === asked);
  if (!chosen) return <Failed error={new FacetError("dictionary_not_found", `This copy has no dictionary “${asked}”.`)} />;
  return (
    <ImageView
      key={`${info.sha256}/${chosen.ref}`}
      info={info}
      stored={null}
      dictionary={imageDictionary(chosen)}
      dictionaries={dictionaries.filter((one) => one.model.id === chosen.model.id).map(imageDictionary)}
    />
  );
}
