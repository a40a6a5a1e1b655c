"use client";
import { usePathname, useSearchParams } from "next/navigation";
import { dictionaryRefSchema } from "@/lib/core/protocol";
import { isStatic, refOf, routes } from "@/lib/core/routes";

/** Null for what no dictionary can be called. */
const possible = (ref: string | null): string | null => (dictionaryRefSchema.safeParse(ref).success ? ref : null);

/** The dictionary in the address: of the path (`/d/<model>/<dictionary>…`) or of `?dictionary=`, in a copy always there; null elsewhere. */
export function useCurrentDictionary(): { ref: string | null; isList: boolean } {
  const pathname = usePathname();
  const parts = pathname.split("/").filter(Boolean);
  const search = useSearchParams();
  if (isStatic) {
    const ref = possible(search.get("dictionary"));
    return { ref, isList: ref !== null && routes.dictionary(ref).startsWith(`${pathname}?`) };
  }
  if (parts[0] !== "d" || !parts[1] || !parts[2]) return { ref: possible(search.get("dictionary")), isList: false };
  const ref = possible(refOf({ model: parts[1], dictionary: parts[2] }));
  return { ref, isList: ref !== null && parts.length === 3 };
}
