"use client";
import { useSearchParams } from "next/navigation";
import { useCallback, useEffect, useRef, useSyncExternalStore } from "react";
import { barAddress } from "@/lib/core/routes";
import { linkInHash, maxLinkLength, steerHref } from "@/lib/core/steer-link";
import { keepDraft } from "./kept";

/** `push`: Back returns to what was before; `replace`: typing and sliding, which Back skips. */
export type HistoryStep = "push" | "replace";

/** Browsers refuse more than about three entries a second. */
const settleMs = 350;

function onAddress(listener: () => void): () => void {
  for (const type of ["popstate", "hashchange"]) window.addEventListener(type, listener);
  return () => {
    for (const type of ["popstate", "hashchange"]) window.removeEventListener(type, listener);
  };
}

/** The request's link text in the address, behind `?` or, where it is long, behind `#`, which the server is not told of. */
export function useLinkInAddress(): string | null {
  const hash = useSyncExternalStore(
    onAddress,
    () => location.hash,
    () => "",
  );
  const sent = useSearchParams().get("r");
  return sent ?? linkInHash(hash);
}

interface AddressOptions {
  dictionary: string;
  /** The request's link text. */
  link: string;
  /** It stands behind the `#`, since it runs in this tab and is no server's business; null while that is not known, when nothing is written yet. */
  unsent: boolean | null;
  /** The address now names another request (Back, Forward, a link on the page). */
  onRestore: (link: string) => void;
}

/**
 * Keeps the address and the request the same. Returns `mark`, to say before a change whether it deserves a step in the history, and
 * `settle`, to write at once. A request too long for any address stays in the tab's store only.
 */
export function useAddress({ dictionary, link, unsent, onRestore }: AddressOptions) {
  const inAddress = useLinkInAddress();
  const written = useRef(inAddress);
  /** Whether what is written stands behind the `#`. */
  const hidden = useRef(false);
  const step = useRef<HistoryStep>("replace");
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef({ dictionary, link, unsent, onRestore });
  latest.current = { dictionary, link, unsent, onRestore };

  const settle = useCallback(() => {
    clearTimeout(timer.current);
    const { dictionary, link, unsent } = latest.current;
    keepDraft(link);
    if (link === written.current) return;
    hidden.current = unsent !== false;
    const href = barAddress(steerHref(dictionary, link, hidden.current));
    // The first address (`?feature=…`, or none) is completed in place: Back leaves the page, not half of it.
    if (step.current === "push" && written.current !== null) window.history.pushState(null, "", href);
    else window.history.replaceState(null, "", href);
    written.current = link;
    step.current = "replace";
  }, []);

  const mark = useCallback((next: HistoryStep) => {
    if (next === "push") step.current = "push";
  }, []);

  // The address bar is outside React: it follows the request once typing or sliding rests.
  useEffect(() => {
    if (link === written.current || unsent === null) return;
    clearTimeout(timer.current);
    timer.current = setTimeout(settle, step.current === "push" ? 0 : settleMs);
    return () => clearTimeout(timer.current);
  }, [link, unsent, settle]);

  // Where it runs changes how it stands in the address, and is no step in the history.
  // biome-ignore lint/correctness/useExhaustiveDependencies: Back may bring an address that was written while the server ran it.
  useEffect(() => {
    const url = new URL(location.href);
    const asked = url.searchParams.get("r");
    if (unsent && asked !== null) {
      hidden.current = true;
      url.searchParams.delete("r");
      url.hash = `r=${asked}`;
      window.history.replaceState(null, "", `${url.pathname}${url.search}${url.hash}`);
    } else if (unsent === false && hidden.current && written.current !== null) {
      hidden.current = false;
      window.history.replaceState(null, "", barAddress(steerHref(latest.current.dictionary, written.current)));
    }
  }, [unsent, inAddress]);

  // …and the request follows the address on Back and Forward.
  useEffect(() => {
    const { dictionary, link, unsent, onRestore } = latest.current;
    if (inAddress === null) {
      // A link to the bare page while it is open: the request stays, so its address comes back.
      if (written.current === link && link.length <= maxLinkLength) {
        hidden.current = unsent !== false;
        window.history.replaceState(null, "", barAddress(steerHref(dictionary, link, hidden.current)));
      }
      return;
    }
    if (inAddress === written.current) return;
    written.current = inAddress;
    step.current = "replace";
    onRestore(inAddress);
  }, [inAddress]);

  // Leaving within the rest keeps what was typed.
  useEffect(() => {
    const keep = () => keepDraft(latest.current.link);
    window.addEventListener("pagehide", keep);
    return () => {
      window.removeEventListener("pagehide", keep);
      keep();
    };
  }, []);

  return { mark, settle };
}
