"use client";
import { usePathname, useSearchParams } from "next/navigation";

const safe = (part: string) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** The dictionary in the address: of the path (`/d/<model>/<dictionary>…`) or of `?dictionary=`; null elsewhere. */
export function useCurrentDictionary(): { ref: string | null; isList: boolean } {
  const parts = usePathname().split("/").filter(Boolean);
  const search = useSearchParams();
  if (parts[0] === "d" && parts[1] && parts[2]) return { ref: `${safe(parts[1])}/${safe(parts[2])}`, isList: parts.length === 3 };
  return { ref: search.get("dictionary"), isList: false };
}
