import { ImageOff } from "lucide-react";
import type { Metadata } from "next";
import { OwnImageView } from "@/components/own-image/own-image-view";
import { TryDictionary } from "@/components/own-image/try-dictionary";
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
  // Dictionaries of several models may be called the same.
  const unique = new Set(dictionaries.map(({ id }) => id)).size === dictionaries.length;
  const choices = dictionaries.map(({ ref, id }) => ({ ref, id: unique ? id : ref }));
  return (
    <div className="mx-auto flex w-full max-w-[100rem] flex-col gap-4 px-4 py-4 pb-16 sm:px-6">
      <div className="flex flex-wrap items-end justify-between gap-x-6 gap-y-2">
        <div>
          <h1 className="font-semibold text-xl">Your picture</h1>
          <p className="text-muted text-sm">
            {chosen.model.name} · {chosen.id}
          </p>
        </div>
        <TryDictionary current={chosen.ref} choices={choices} />
      </div>
      <OwnImageView dictionary={chosen} />
    </div>
  );
}
