"use client";
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import type { Where } from "@/components/local-engine/use-where";
import { asFacetError, FacetError } from "@/lib/core/errors";
import { decodeSteerLink, encodeSteerLink, linkInHash, requestFromLink, type SteerLink } from "@/lib/core/steer-link";
import { findDraft } from "./kept";
import { isActive } from "./run-state";
import { findProblems, fromLink, type SteerAction, steerReducer, toLink } from "./state";
import { useAddress, useLinkInAddress } from "./use-address";
import { useRun } from "./use-run";
import { useUploads } from "./use-uploads";

const typed = new Set<SteerAction["type"]>(["text", "sampling", "version", "restore"]);

/** Typing and sliding are no steps that Back should stop at; everything else is. */
function isStep(action: SteerAction): boolean {
  if (action.type === "clamp-change") {
    const { value, scope } = action.patch;
    // A stroke over the cells is one movement, as a slide is.
    return Object.keys(action.patch).length > 1 || (value === undefined && scope?.type !== "region");
  }
  return !typed.has(action.type);
}

/** The address's request; null where it has none that can be read. The router may bring back a page that an earlier address had made. */
function readLink(text: string | null): SteerLink | null {
  try {
    return text === null ? null : decodeSteerLink(text);
  } catch {
    return null;
  }
}

interface SandboxOptions {
  initial: SteerLink;
  /** Whether a request that this tab was making before may take the place of `initial`. */
  mayResume: boolean;
  /** Where requests run when they are started. */
  where: { readonly current: Where };
  /** Whether the request is kept from the server; null while that is not known. */
  unsent: boolean | null;
}

/** The sandbox's state: the request in the making, its problems, its run, and the address that holds it all. */
export function useSandbox({ initial, mayResume, where, unsent }: SandboxOptions) {
  const inAddress = useLinkInAddress();
  const [state, dispatch] = useReducer(steerReducer, null, () => fromLink(readLink(inAddress) ?? initial));
  const [linkError, setLinkError] = useState<FacetError | null>(null);
  const [resumed, setResumed] = useState(false);
  /** Problems are shown in full once a run was tried. */
  const [tried, setTried] = useState(false);
  const { run, start, stop, show } = useRun(where);
  const link = useMemo(() => encodeSteerLink(toLink(state)), [state]);
  const uploadHashes = useMemo(
    () => state.turns.flatMap(({ images }) => images.filter((i) => i.upload).map((i) => i.sha256)),
    [state.turns],
  );
  const uploads = useUploads(uploadHashes);
  const problems = useMemo(() => findProblems(state, (sha256) => uploads.found[sha256] !== null), [state, uploads.found]);

  const restore = useCallback(
    (text: string) => {
      try {
        dispatch({ type: "restore", link: decodeSteerLink(text) });
        setLinkError(null);
        show(text);
      } catch (error) {
        setLinkError(asFacetError(error));
      }
    },
    [show],
  );
  const { mark, settle } = useAddress({ dictionary: state.dictionary, link, unsent, onRestore: restore });

  const send = useCallback(
    (action: SteerAction) => {
      if (isStep(action)) mark("push");
      dispatch(action);
    },
    [mark],
  );

  // What the tab kept is outside React, and unknown to the server that drew the first picture.
  const first = useRef({ link, mayResume: mayResume && inAddress === null, dictionary: initial.dictionary });
  useEffect(() => {
    const { link, mayResume, dictionary } = first.current;
    // While the page comes alive, what is behind the `#` is not yet in `inAddress`.
    const draft = mayResume && linkInHash(location.hash) === null ? findDraft() : null;
    if (draft && draft !== link) {
      try {
        const kept = decodeSteerLink(draft);
        if (kept.dictionary !== dictionary) return;
        dispatch({ type: "restore", link: kept });
        setResumed(true);
        show(draft);
      } catch {
        // A draft of another Facet: the fresh page stands.
      }
    } else show(link);
  }, [show]);

  const latest = useRef({ state, link, problems, uploads });
  latest.current = { state, link, problems, uploads };
  const begin = useCallback(() => {
    const { state, link, problems, uploads } = latest.current;
    setTried(true);
    if (problems.length) return;
    try {
      const request = requestFromLink(toLink(state), (sha256) => uploads.found[sha256]?.dataUrl);
      mark("push");
      settle();
      void start(request, link);
    } catch (error) {
      setLinkError(error instanceof FacetError ? error : asFacetError(error));
    }
  }, [mark, settle, start]);

  const running = isActive(run);
  const reset = useCallback(
    (link: SteerLink) => {
      mark("push");
      dispatch({ type: "restore", link });
      setResumed(false);
      setTried(false);
    },
    [mark],
  );

  return { state, send, link, run, running, begin, stop, problems, tried, uploads, linkError, resumed, reset };
}

export type Sandbox = ReturnType<typeof useSandbox>;
