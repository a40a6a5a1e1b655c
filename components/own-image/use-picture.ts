"use client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { analysisOf, engineOf } from "@/components/local-engine/engine-of";
import { type TabAnswer, useTabAnswer } from "@/components/local-engine/use-tab-answer";
import { imageInfoQueryOptions } from "@/lib/api/images";
import { FacetError } from "@/lib/core/errors";
import { inPrint } from "@/lib/core/format";
import { analyseRequestSchema, limits } from "@/lib/core/protocol";
import type { Analysis } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { sha256 } from "@/lib/core/sha256";

/** A picture that the model in this tab looks at: one's own, which no address can name, or the catalogue's by its hash. */
export type Picture = { kind: "own"; file: File; id: string } | { kind: "catalogue"; id: string };

let taken = 0;
export const ownPicture = (file: File): Picture => ({ kind: "own", file, id: `own-${++taken}` });
export const cataloguePicture = (hash: string): Picture => ({ kind: "catalogue", id: hash });

export interface Looked {
  analysis: Analysis;
  /** The picture as the model sees it: size × size, RGB, row by row. */
  seen: { size: number; data: Uint8Array };
  milliseconds: number;
}

/** Throws `image_not_found`, and `cancelled` through the signal. */
async function bytesOf(picture: Picture, signal: AbortSignal): Promise<Blob> {
  if (picture.kind === "own") return picture.file;
  const answer = await fetch(routes.api.image(picture.id), { signal }).catch((cause: unknown) => {
    throw new FacetError("image_not_found", "The catalogue's picture did not arrive.", {
      fix: "Check the connection and try again.",
      cause,
    });
  });
  if (!answer.ok) {
    throw new FacetError("image_not_found", `The catalogue has no picture ${picture.id.slice(0, 12)}….`, { fix: "Choose another one." });
  }
  return answer.blob();
}

/** The picture's bytes with their hash, as the engine takes pictures. */
export async function pictureFor(picture: Picture, signal: AbortSignal): Promise<{ hash: string; blob: Blob }> {
  const blob = await bytesOf(picture, signal);
  return { hash: picture.kind === "catalogue" ? picture.id : await sha256(new Uint8Array(await blob.arrayBuffer())), blob };
}

/** All that fires on a picture, found by the model in this tab. */
export function usePicture(ref: string, picture: Picture | null): TabAnswer<Looked> {
  const client = useQueryClient();
  const look = async (picture: Picture, signal: AbortSignal): Promise<Looked> => {
    const [{ hash, blob }, { engine, names }] = await Promise.all([pictureFor(picture, signal), engineOf(client, ref, signal)]);
    const start = performance.now();
    const request = analyseRequestSchema.parse({ dictionary: ref, image: { sha256: hash }, limit: limits.analysed });
    const found = await engine.features(request, new Map([[hash, blob]]), signal);
    const milliseconds = performance.now() - start;
    return { analysis: analysisOf(ref, found, names), seen: await engine.seen(blob, signal), milliseconds };
  };
  return useTabAnswer({ key: ["look", ref, picture?.id ?? null], ask: picture && ((signal) => look(picture, signal)) });
}

/** An address that the page can show the picture from; null until there is one. */
export function usePictureSource(picture: Picture | null): string | null {
  const [own, setOwn] = useState<{ file: File; url: string } | null>(null);
  const file = picture?.kind === "own" ? picture.file : null;
  useEffect(() => {
    if (!file) return setOwn(null);
    const url = URL.createObjectURL(file);
    setOwn({ file, url });
    return () => URL.revokeObjectURL(url);
  }, [file]);
  if (picture?.kind === "catalogue") return routes.api.image(picture.id);
  return own !== null && own.file === file ? own.url : null;
}

/** What a picture is called: its file's name, or what the catalogue says it shows. */
export function usePictureName(picture: Picture | null): string | null {
  const hash = picture?.kind === "catalogue" ? picture.id : null;
  const info = useQuery({ ...imageInfoQueryOptions(hash ?? ""), enabled: hash !== null });
  if (picture?.kind === "own") return picture.file.name;
  return hash && (inPrint(info.data?.caption ?? null) ?? `Picture ${hash.slice(0, 12)}`);
}
