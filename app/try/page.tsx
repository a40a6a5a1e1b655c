import { ImageOff } from "lucide-react";
import type { Metadata } from "next";
import { OwnImagePlace } from "@/components/own-image/own-image-place";
import { EmptyState } from "@/components/ui/empty-state";
import { LinkButton } from "@/components/ui/link-button";
import { getDatabase } from "@/lib/catalog/db";
import { listDictionaries } from "@/lib/catalog/dictionaries";
import { routes } from "@/lib/core/routes";
import { enginePackage } from "@/lib/engine/browser-package";
import { MissingPage, missingHere } from "../missing-page";
import { NoDictionary } from "../no-dictionary";

export const metadata: Metadata = {
  title: "Your picture",
  description: "Every feature that fires on a picture or words of your own, found in your browser: they stay on your machine.",
};

export default async function OwnImagePage({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const asked = (await searchParams).dictionary;
  const dictionaries = await listDictionaries(await getDatabase());
  const fits = async (ref: string, sha256: string) => (await enginePackage(ref).catch(() => null))?.sha256 === sha256;
  let chosen = dictionaries.find(({ ref }) => ref === asked);
  if (asked === undefined) {
    for (const one of dictionaries) {
      if (chosen === undefined && (await fits(one.ref, one.sha256))) chosen = one;
    }
    chosen ??= dictionaries[0];
  }
  if (!chosen) {
    if (asked === undefined) return <NoDictionary icon={<ImageOff />}>There is no dictionary to look with</NoDictionary>;
    return (
      <EmptyState page title="There is no dictionary to look with" action={<LinkButton href={routes.home()}>Home</LinkButton>}>
        The catalogue has no dictionary of this name.
      </EmptyState>
    );
  }
  return <OwnImagePlace chosen={chosen} dictionaries={dictionaries} />;
}
