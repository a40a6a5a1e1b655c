"use client";
import { useQuery } from "@tanstack/react-query";
import { Pause, Play } from "lucide-react";
import { useMemo, useState } from "react";
import { TabPanel } from "@/components/local-engine/tab-panel";
import { useBackground } from "@/components/local-engine/use-background";
import type { Where } from "@/components/local-engine/use-where";
import { Button } from "@/components/ui/button";
import { ProgressBar } from "@/components/ui/progress-bar";
import { Segmented } from "@/components/ui/segmented";
import { dictionariesQueryOptions } from "@/lib/api/dictionaries";
import { enginePackageQueryOptions } from "@/lib/api/engine";
import { regionPicturesQueryOptions } from "@/lib/api/region-pictures";
import type { EnginePackage } from "@/lib/core/engine-package";
import { formatCount, formatNoun, formatSeconds } from "@/lib/core/format";
import { limits } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import type { Region } from "@/lib/core/region";
import { isStatic } from "@/lib/core/routes";
import { FoundList } from "./found-list";
import type { ScanState } from "./region-scan";
import { keptLimit } from "./scan-parts";
import { useScan } from "./use-scan";

interface AllPicturesProps {
  dictionary: string;
  /** Null while nothing is painted. */
  region: Region | null;
  /** The region's, for addresses; empty where none can hold it. */
  code: string;
  /** Those that are sought, ascending. */
  features: readonly number[];
  /** Each feature's maximum over the catalogue, raw activation. */
  maximumOf: (index: number) => number | null;
  /** The picture that is painted on, where it is the catalogue's. */
  without?: string;
  /** The model runs in this tab or not at all. */
  discreet?: boolean;
  /** The page says already how the model in this tab is. */
  panelled?: boolean;
}

/** Offers to have the model look at every picture of the catalogue. Nothing where no engine is. */
export function AllPictures(props: AllPicturesProps) {
  const known = useQuery(dictionariesQueryOptions()).data?.find(({ ref }) => ref === props.dictionary);
  const { data: pack } = useQuery(enginePackageQueryOptions(props.dictionary));
  if (!known || pack === undefined) return null;
  const inTab = pack !== null && pack.sha256 === known.sha256 ? pack : null;
  const onServer = !isStatic && !props.discreet && known.engine !== "none";
  if (inTab || onServer) return <Offer {...props} record={known} pack={inTab} onServer={onServer} />;
  if (!props.region) return null;
  return (
    <p role="note" className="mt-6 rounded-md bg-sunken px-3 py-2 text-sm">
      No engine for this dictionary is here, so pictures beyond the stored examples cannot be looked through.
    </p>
  );
}

interface OfferProps extends AllPicturesProps {
  record: Dictionary;
  /** Where this tab can run the model. */
  pack: EnginePackage | null;
  onServer: boolean;
}

function Offer({ region, code, features, maximumOf, without, record, pack, onServer, panelled, dictionary }: OfferProps) {
  const [wanted, setWanted] = useState<Where>("tab");
  const where = pack && (wanted === "tab" || !onServer) ? "tab" : "server";
  const question = useMemo(() => {
    if (!region || features.length === 0) return null;
    return { region, features, maxima: new Map(features.map((index) => [index, maximumOf(index) ?? 0])), without };
  }, [region, features, maximumOf, without]);
  const { state, start, stop } = useScan(record, where, question);
  const works = state.status === "starting" || state.status === "running";
  // Known from the stored examples, where these were asked for.
  const asked = useQuery({ ...regionPicturesQueryOptions({ dictionary, features, region: code, without }), enabled: false });
  const total = state.total ?? asked.data?.examined.catalogue ?? null;
  if (!region && state.status === "idle") return null;
  const begun = state.status !== "idle" || state.looked > 0;
  const open = total === null ? 0 : total - state.looked;
  return (
    <section aria-labelledby="all-pictures" className="mt-8">
      <h2 id="all-pictures" className="font-semibold text-base">
        Every picture of the catalogue
      </h2>
      <p className="mt-1 text-muted text-sm">
        Stored examples are a few pictures of each feature. The model can look at all of them,{" "}
        {where === "tab"
          ? "in this tab, which fetches one after the other and tells nobody what is sought."
          : "on the server, one after the other."}{" "}
        What it finds stays in this tab’s memory: another region or other features are then ranked at once.
      </p>
      {pack && onServer && (
        <div className="mt-2 flex flex-wrap items-center gap-2 text-sm">
          <span className="text-muted">Runs</span>
          <Segmented<Where>
            label="Where the pictures are looked at"
            value={where}
            onChange={setWanted}
            options={[
              { value: "tab", name: "in this tab", disabled: works },
              { value: "server", name: "on the server", disabled: works },
            ]}
          />
        </div>
      )}
      {pack && where === "tab" && !panelled && (
        <div className="mt-2">
          <TabPanel pack={pack}>The model looks at the pictures in your browser.</TabPanel>
        </div>
      )}
      <div className="mt-3 flex flex-wrap items-center gap-3 text-sm">
        {works ? (
          <Button size="sm" onClick={stop}>
            <Pause aria-hidden />
            Stop
          </Button>
        ) : (
          (open > 0 || total === null) && (
            <Button size="sm" disabled={!begun && question === null} onClick={start}>
              <Play aria-hidden />
              {!begun
                ? `Look through all ${total === null ? "pictures" : formatNoun(total, "picture")}`
                : state.status === "done"
                  ? `Try the ${state.failed === 1 ? "one" : formatCount(open)} that failed again`
                  : "Resume"}
            </Button>
          )
        )}
        {begun && total !== null && <Progress state={state} total={total} />}
      </div>
      <Notes state={state} works={works} />
      {state.found && region && (
        <>
          <p className="num mt-3 text-muted text-sm">{foundWords(state.found, features.length)}</p>
          <Ranked top={state.found.top} dictionary={dictionary} count={features.length} region={region} code={code} maximumOf={maximumOf} />
        </>
      )}
      {!question && region && begun && <p className="mt-3 text-muted text-sm">Tick a feature in the list to look for it.</p>}
    </section>
  );
}

/** `count`: how many features were asked for. */
function foundWords({ total, top }: NonNullable<ScanState["found"]>, count: number): string {
  if (total === 0)
    return count === 1 ? "On none of them does the feature fire there." : "On none of them does any of the features fire there.";
  const one = `On ${formatCount(total)} of them ${count === 1 ? "the feature" : "at least one of the features"} fires there`;
  const cut = total > top.length ? `; the best ${top.length} shown` : "";
  return `${one}${cut}, by how strongly ${count === 1 ? "it fires" : "all of them fire"}.`;
}

const formatMegabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

function Progress({ state, total }: { state: ScanState; total: number }) {
  const { looked, failed, rate, secondsLeft } = state;
  return (
    <>
      <ProgressBar label="Pictures looked through" value={looked} max={total} className="min-w-24 grow basis-24" />
      <p className="num basis-full text-muted">
        {formatCount(looked)} of {formatNoun(total, "picture")} looked through
        {rate !== null && ` · ${rate < 9.95 ? rate.toFixed(1) : Math.round(rate)} a second`}
        {secondsLeft !== null && secondsLeft > 0 && ` · ${formatSeconds(Math.max(1, secondsLeft))} left`}
        {looked > 0 && ` · ${formatMegabytes(state.keptBytes)} kept`}
        {failed > 0 && ` · failed: ${formatCount(failed)}, the first: ${state.firstFailure?.message}`}
      </p>
    </>
  );
}

/** How it goes, in sentences. */
function Notes({ state, works }: { state: ScanState; works: boolean }) {
  const { hidden, slowed } = useBackground(works);
  const words = {
    idle: "",
    starting: "Getting the model and the list of pictures…",
    running: state.busy ? "The engine is busy with others: this waits and goes on." : "Looking…",
    stopping: "Stopping after this picture…",
    stopped: "Stopped. What was found stays, and it goes on from there.",
    done: "All pictures were looked through.",
    failed: "",
  }[state.status];
  return (
    <div className="mt-1 text-muted text-sm">
      <p role="status" className="min-h-5">
        {state.status === "done" && state.failed > 0 ? "Every picture was tried." : words}
      </p>
      {state.error && (
        <p role="alert" className="text-ink">
          {state.error.message} {state.error.fix}
        </p>
      )}
      {(hidden || slowed) && works && <p>In the background this goes on, but the browser may slow it down.</p>}
      {state.cut > 0 && (
        <p className="num">
          On {formatNoun(state.cut, "picture")} more features fired than the {limits.analysed} that an answer holds: a sought one that is
          weaker over the whole picture counts as not there.
        </p>
      )}
      {state.unkept > 0 && (
        <p className="num">
          The memory for what was found is full ({keptLimit / 1e6} MB, {formatNoun(state.looked - state.unkept, "picture")}): the other{" "}
          {formatCount(state.unkept)} are ranked now, and asked of the model again for another region.
        </p>
      )}
    </div>
  );
}

type RankedProps = Omit<Parameters<typeof FoundList>[0], "items"> & { top: NonNullable<ScanState["found"]>["top"] };

function Ranked({ top, ...rest }: RankedProps) {
  const items = useMemo(
    () =>
      top.map(({ sha256, caption, score, found }) => ({ image: sha256, caption, score, features: found.map(({ example }) => example) })),
    [top],
  );
  return <FoundList items={items} {...rest} />;
}
