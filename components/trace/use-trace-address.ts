"use client";
import { useSearchParams } from "next/navigation";
import { useCallback, useEffect, useRef } from "react";
import { useLinkInAddress } from "@/components/steer/use-address";
import { barAddress } from "@/lib/core/routes";
import { maxLinkLength } from "@/lib/core/steer-link";
import { readTraceView, type TraceView, traceHref } from "@/lib/core/trace-link";

/** Browsers refuse more than about three entries a second, and typing is no step that Back should stop at. */
const settleMs = 350;

interface AddressOptions {
  dictionary: string;
  /** The request's link text. */
  link: string;
  view: TraceView;
  /** The request runs in this tab and is no server's business; null while that is not known, when nothing is written yet. */
  unsent: boolean | null;
  /** The address now names something else (Back, Forward, a link on the page). */
  onRestore: (link: string, view: TraceView) => void;
}

/** Keeps the address and the page the same. Returns `mark`: the next change is a step that Back returns from. */
export function useTraceAddress({ dictionary, link, view, unsent, onRestore }: AddressOptions): () => void {
  const inAddress = useLinkInAddress();
  const search = useSearchParams();
  const asked = traceHref(
    dictionary,
    inAddress ?? "",
    readTraceView((key) => search.get(key)),
  );
  /** What the address says, in one form for either place where the request may stand. */
  const says = traceHref(dictionary, link, unsent ? { ...view, right: "", asks: "" } : view);
  const href = traceHref(dictionary, link, view, unsent === true);
  const written = useRef(inAddress === null ? null : asked);
  const hidden = useRef(search.get("r") === null);
  const push = useRef(false);
  const latest = useRef({ onRestore, search });
  latest.current = { onRestore, search };

  // The address bar is outside React: it follows once typing rests.
  useEffect(() => {
    if (unsent === null || link.length > maxLinkLength) return;
    if (says === written.current && hidden.current === href.includes("#")) return;
    const timer = setTimeout(
      () => {
        // The first address (`?image=…`, or none) is completed in place: Back leaves the page, not half of it.
        if (push.current && written.current !== null && says !== written.current) window.history.pushState(null, "", barAddress(href));
        else window.history.replaceState(null, "", barAddress(href));
        written.current = says;
        hidden.current = href.includes("#");
        push.current = false;
      },
      push.current ? 0 : settleMs,
    );
    return () => clearTimeout(timer);
  }, [href, says, unsent, link]);

  // …and the page follows the address on Back and Forward.
  useEffect(() => {
    if (inAddress === null || asked === written.current) return;
    written.current = asked;
    push.current = false;
    const { onRestore, search } = latest.current;
    hidden.current = search.get("r") === null;
    onRestore(
      inAddress,
      readTraceView((key) => search.get(key)),
    );
  }, [asked, inAddress]);

  return useCallback(() => {
    push.current = true;
  }, []);
}
