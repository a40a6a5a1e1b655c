import type { Dictionary } from "@/lib/core/records";
import { OwnImageView } from "./own-image-view";
import { TryDictionary } from "./try-dictionary";

/** The page of one's own picture, with the dictionary that looks at it. */
export function OwnImagePlace({ chosen, dictionaries }: { chosen: Dictionary; dictionaries: readonly Dictionary[] }) {
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
