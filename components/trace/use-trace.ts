"use client";
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import type { Where } from "@/components/local-engine/use-where";
import { findRun } from "@/components/steer/kept";
import { isActive } from "@/components/steer/run-state";
import { findProblems, fromLink, type SteerAction, steerReducer, toLink } from "@/components/steer/state";
import { useLinkInAddress } from "@/components/steer/use-address";
import { useRun } from "@/components/steer/use-run";
import { useUploads } from "@/components/steer/use-uploads";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import type { GenerateRequest } from "@/lib/core/protocol";
import { decodeSteerLink, encodeSteerLink, requestFromLink, type SteerLink } from "@/lib/core/steer-link";
import { type TraceControl, type TraceView, usualView } from "@/lib/core/trace-link";
import { useTraceAddress } from "./use-trace-address";

interface TraceOptions {
  initial: SteerLink;
  initialView: TraceView;
  /** Where requests run when they are started. */
  where: { readonly current: Where };
  /** Whether an address that names a token may ask for its answer by itself; null while that is not known. */
  mayAsk: boolean | null;
  /** Whether the request is kept from the server, see `useTraceAddress`. */
  unsent: boolean | null;
}

/** The page's own request: one answer, under the clamps that the link holds, if it holds any. */
export function traceLink(link: SteerLink): SteerLink {
  return { ...link, controls: [], sweep: null, watch: [] };
}

/** Names the runs of a request that a control's answer is traced in: it has that control's arm as well. */
const runKey = (link: string, control: TraceControl | null) => (control ? `${link} ${control}` : link);

/** Whether an address's link text is of the page's request, or of none that can be read, which asks for nothing. */
function asksFor(inAddress: string, link: string): boolean {
  try {
    return encodeSteerLink(traceLink(decodeSteerLink(inAddress))) === link;
  } catch {
    return true;
  }
}

/** The link's own clamps with others put beside them, which take the place of those on the same feature. A sweep is of one of the others. */
function withClamps(request: GenerateRequest, over: Partial<GenerateRequest>): GenerateRequest {
  const { interventions: added, sweep } = over;
  if (!added) return { ...request, ...over };
  const own = request.interventions.filter(({ feature }) => !added.some((one) => one.feature === feature));
  return { ...request, ...over, interventions: [...own, ...added], sweep: sweep && { ...sweep, clamp: sweep.clamp + own.length } };
}

/** The page's state: what is asked, the model's answer, what of it is looked at, and the address that holds it all. */
export function useTrace({ initial, initialView, where, mayAsk, unsent }: TraceOptions) {
  const [state, dispatch] = useReducer(steerReducer, null, () => fromLink(traceLink(initial)));
  const [view, setView] = useState(initialView);
  const [linkError, setLinkError] = useState<FacetError | null>(null);
  const [tried, setTried] = useState(false);
  const { run, start, stop, show } = useRun(where);
  const link = useMemo(() => encodeSteerLink(toLink(state)), [state]);
  const uploadHashes = useMemo(
    () => state.turns.flatMap(({ images }) => images.filter((i) => i.upload).map((i) => i.sha256)),
    [state.turns],
  );
  const uploads = useUploads(uploadHashes);
  const problems = useMemo(() => findProblems(state, (sha256) => uploads.found[sha256] !== null), [state, uploads.found]);
  /** An upload is read from this browser's store, which takes a moment. */
  const loading = uploadHashes.some((sha256) => uploads.found[sha256] === undefined);

  const restore = useCallback(
    (text: string, next: TraceView) => {
      try {
        const restored = traceLink(decodeSteerLink(text));
        dispatch({ type: "restore", link: restored });
        setView(next);
        setLinkError(null);
        show(runKey(encodeSteerLink(restored), next.control));
      } catch (error) {
        setLinkError(asFacetError(error));
      }
    },
    [show],
  );
  const inAddress = useLinkInAddress();
  const mark = useTraceAddress({ dictionary: state.dictionary, link, view, unsent, onRestore: restore });

  const look = useCallback(
    (patch: Partial<TraceView>) => {
      mark();
      setView((before) => ({ ...before, ...patch }));
    },
    [mark],
  );
  /** What is typed is no step that Back should stop at. */
  const type = useCallback((patch: Partial<TraceView>) => setView((before) => ({ ...before, ...patch })), []);
  const send = useCallback(
    (action: SteerAction) => {
      if (action.type !== "text") mark();
      dispatch(action);
      // Another question has another answer: what was chosen of the one before means nothing in it. Another dictionary leaves the clamps behind.
      setView(({ control, where, grouped, without, steps, right, asks }) => {
        const kept = { where, grouped, without, steps, right, asks };
        return { ...usualView, control: action.type === "dictionary" ? null : control, ...kept };
      });
    },
    [mark],
  );

  /** The request as it stands, with other parts put in; throws where an uploaded picture is not here. */
  const request = useCallback(
    (over: Partial<GenerateRequest> = {}) =>
      withClamps(
        requestFromLink(toLink(state), (sha256) => uploads.found[sha256]?.dataUrl),
        over,
      ),
    [state, uploads.found],
  );

  const { control } = view;
  const key = runKey(link, control);
  const latest = useRef({ key, control, problems, request });
  latest.current = { key, control, problems, request };
  const ask = useCallback(() => {
    const { key, control, problems, request } = latest.current;
    setTried(true);
    if (problems.length > 0) return;
    try {
      void start(request({ controls: control ? [control] : [], alternatives: 10 }), key);
    } catch (error) {
      setLinkError(asFacetError(error));
    }
  }, [start]);

  // What the tab kept is outside React. An address that names a token asks for the answer that the token is in.
  const opened = useRef(false);
  const wanted = view.token !== null;
  useEffect(() => {
    if (opened.current || loading || mayAsk === null) return;
    // What stands behind the `#` is read after the page has come alive.
    if (inAddress !== null && !asksFor(inAddress, link)) return;
    opened.current = true;
    show(latest.current.key);
    if (mayAsk && wanted && findRun(latest.current.key)?.status !== "done") ask();
  }, [loading, show, ask, wanted, mayAsk, inAddress, link]);

  const leaving = useRef(false);
  /** Leaves a control for the answer of the same request under its clamps, which is asked for where the tab has not kept it. */
  const traceSteered = useCallback(() => {
    leaving.current = true;
    look({ control: null, token: 0, metric: usualView.metric, feature: null });
  }, [look]);
  useEffect(() => {
    if (!leaving.current || control) return;
    leaving.current = false;
    show(key);
    if (findRun(key)?.status !== "done") ask();
  }, [control, key, show, ask]);

  const running = isActive(run);
  /** Nothing is missing to send the request: `request` throws nothing. */
  const ready = !loading && problems.length === 0;
  return {
    state,
    send,
    view,
    look,
    type,
    link,
    /** Names the request's runs. */
    key,
    traceSteered,
    run,
    /** The arm that is explained, of a run of this request. */
    arm: run.key === key ? run.arms.find(({ arm }) => arm === (control ?? "steered")) : undefined,
    running,
    ask,
    stop,
    ready,
    problems: tried ? problems : [],
    uploads,
    linkError,
    request,
  };
}

export type TraceState = ReturnType<typeof useTrace>;
