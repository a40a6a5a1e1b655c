"use client";
import { useSearchParams } from "next/navigation";
import { useCallback, useEffect, useRef } from "react";
import { useLinkInAddress } from "@/components/steer/use-address";
import { maxLinkLength } from "@/lib/core/steer-link";
import { readTraceView, type TraceView, traceHref } from "@/lib/core/trace-link";

/** Browsers refuse more than about three entries a second, and typing is no step that Back should stop at. */
const settleMs = 350;

interface AddressOptions {
  dictionary: string;
  /** The request's link text. */
  link: string;
  view: TraceView;
  /** The address now names something else (Back, Forward, a link on the page). */
  onRestore: (link: string, view: TraceView) => void;
}

/** Keeps the address and the page the same. Returns `mark`: the next change is a step that Back returns from. */
export function useTraceAddress({ dictionary, link, view, onRestore }: AddressOptions): () => void {
  const inAddress = useLinkInAddress();
  const search = useSearchParams();
  const asked = traceHref(
    dictionary,
    inAddress ?? "",
    readTraceView((key) => search.get(key)),
  );
  const href = traceHref(dictionary, link, view);
  const written = useRef(inAddress === null ? null : asked);
  const push = useRef(false);
  const latest = useRef({ onRestore, search });
  latest.current = { onRestore, search };

  // The address bar is outside React: it follows once typing rests.
  useEffect(() => {
    if (href === written.current || link.length > maxLinkLength) return;
    const timer = setTimeout(
      () => {
        // The first address (`?image=…`, or none) is completed in place: Back leaves the page, not half of it.
        if (push.current && written.current !== null) window.history.pushState(null, "", href);
        else window.history.replaceState(null, "", href);
        written.current = href;
        push.current = false;
      },
      push.current ? 0 : settleMs,
    );
    return () => clearTimeout(timer);
  }, [href, link]);

  // …and the page follows the address on Back and Forward.
  useEffect(() => {
    if (inAddress === null || asked === written.current) return;
    written.current = asked;
    push.current = false;
    const { onRestore, search } = latest.current;
    onRestore(
      inAddress,
      readTraceView((key) => search.get(key)),
    );
  }, [asked, inAddress]);

  return useCallback(() => {
    push.current = true;
  }, []);
}
