"use client";
import { useQuery } from "@tanstack/react-query";
import { ImageOff } from "lucide-react";
import { type ReactNode, useCallback, useId, useMemo, useState } from "react";
import { Breadcrumbs } from "@/components/shell/breadcrumbs";
import { useKeys } from "@/components/shell/use-keys";
import { cn } from "@/components/ui/cn";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { Tab, TabList, TabPanel, Tabs } from "@/components/ui/tabs";
import { analyseQueryOptions } from "@/lib/api/analyse";
import { featureQueryOptions } from "@/lib/api/feature";
import { asFacetError } from "@/lib/core/errors";
import type { FeatureQuery } from "@/lib/core/feature-query";
import { formatCount, formatIndex } from "@/lib/core/format";
import { sha256Schema } from "@/lib/core/protocol";
import type { FeatureDetail } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { decodeMap, toDense } from "@/lib/core/sparse-map";
import { Actions } from "./actions";
import { type CellState, noCell } from "./cell-picture";
import { Explanations } from "./explanations";
import { FeatureFacts, FeatureHistogram } from "./feature-numbers";
import { FeatureSkeleton } from "./feature-skeleton";
import { FeatureTitle } from "./feature-title";
import { FeatureTokens } from "./feature-tokens";
import { ListNav, type Neighbourhood } from "./list-nav";
import { originHref, originParam, originWords } from "./list-origin";
import { Neighbours } from "./neighbours";
import { OlderVersion } from "./older-version";
import { PicturePanel } from "./picture-panel";
import { type Examples, exampleFrom, imageParam, locate, picturesOf, pictureTabs, type TabKey } from "./pictures";
import { TextExamples } from "./text-examples";
import { carriedState, useViewState } from "./view-state";

interface FeatureViewProps {
  dictionary: string;
  index: number;
  /** Pinned version: first 12 digits of the dictionary's hash. */
  version: string | null;
  /** The list that one came from. */
  origin: FeatureQuery;
  around: Neighbourhood;
}

/** The page of one feature. Its record comes hydrated from the server; its state lives in the address. */
export function FeatureView({ dictionary, index, version, origin, around }: FeatureViewProps) {
  const query = useQuery(featureQueryOptions(dictionary, index, { v: version ?? undefined }));
  if (query.data) return <Loaded key={`${dictionary}/${index}`} detail={query.data} version={version} origin={origin} around={around} />;
  if (query.error) return <ErrorState className="grow justify-center" error={asFacetError(query.error)} onRetry={() => query.refetch()} />;
  return <FeatureSkeleton />;
}

interface LoadedProps extends Omit<FeatureViewProps, "dictionary" | "index"> {
  detail: FeatureDetail;
}

function Loaded({ detail, version, origin, around }: LoadedProps) {
  const [view, setView] = useViewState();
  const [cell, setCell] = useState<CellState>(noCell);
  const [tokenValue, setTokenValue] = useState<number | null>(null);
  const { feature, dictionary } = detail;
  const { examples, lookedUp } = useExamples(detail, view.image);
  const place = locate(examples, { tab: view.band, image: view.image });
  const tabs = useMemo(() => pictureTabs(examples), [examples]);
  const pictures = place.tab ? picturesOf(examples, place.tab) : [];
  const picture = pictures[place.position] ?? null;

  const hrefTo = useCallback(
    (to: number) => routes.feature(dictionary.ref, to, { v: version ?? undefined, from: originParam(origin), ...carriedState(view) }),
    [dictionary.ref, version, origin, view],
  );
  const hrefOf = useCallback((to: number) => routes.feature(dictionary.ref, to, { v: version ?? undefined }), [dictionary.ref, version]);

  const choose = (tab: TabKey, position: number) => {
    const chosen = picturesOf(examples, tab)[position];
    setView({ band: tab, image: chosen ? imageParam(tab, chosen) : null });
  };
  const step = (by: number) => (place.tab && pictures[place.position + by] ? choose(place.tab, place.position + by) : false);
  const back = () => step(-1);
  const forth = () => step(1);
  const release = () => (cell.cell === null ? false : setCell(noCell));
  useKeys({
    ArrowLeft: back,
    ArrowRight: forth,
    Escape: release,
    h: () => void setView({ heat: view.heat === "on" ? "off" : "on" }),
  });

  const dense = useMemo(() => (picture ? toDense(decodeMap(picture.map), picture.rows, picture.cols) : null), [picture]);
  const cellValue = cell.cell === null || !dense ? null : (dense[cell.cell] ?? 0);
  const mark =
    place.tab === "text"
      ? tokenValue === null
        ? null
        : { value: tokenValue, name: "This token" }
      : picture && (cellValue === null ? { value: picture.peak, name: "This picture's peak" } : { value: cellValue, name: "This cell" });

  return (
    <div className="mx-auto w-full max-w-[120rem] px-4 pb-16 sm:px-6">
      <div className="flex flex-wrap items-center justify-between gap-x-6 py-1">
        <Breadcrumbs
          items={[
            { name: dictionary.model.name, href: routes.home() },
            { name: dictionary.id, href: routes.dictionary(dictionary.ref) },
            { name: formatIndex(feature.index, dictionary.numLatents) },
          ]}
        />
        <ListNav
          list={{ href: originHref(origin), words: originWords(origin, around.total) }}
          previous={around.previous === null ? null : hrefTo(around.previous)}
          next={around.next === null ? null : hrefTo(around.next)}
        />
      </div>
      <OlderVersion detail={detail} pinned={version} />
      <div className="grid grid-cols-[minmax(0,1fr)] gap-x-10 gap-y-6 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)] lg:grid-rows-[auto_1fr]">
        <FeatureTitle detail={detail} className="lg:col-start-2" />
        <section
          aria-label="Examples"
          className={cn(
            "min-w-0 lg:col-start-1 lg:row-span-2 lg:row-start-1 lg:self-start",
            // Pictures are sized to the window and stay in sight beside the numbers; texts may be longer than it.
            place.tab !== "text" && "lg:[@media(min-height:36rem)]:sticky lg:[@media(min-height:36rem)]:top-14",
          )}
        >
          {place.missing && (
            <p role="note" className="mb-3 rounded-md bg-sunken px-3 py-2 text-sm">
              {lookedUp === "pending"
                ? "Looking at the picture of this link…"
                : "The picture of this link is not among the stored examples, and it was not found to fire there; the strongest is shown instead."}
            </p>
          )}
          {place.tab === null ? (
            <NoExamples detail={detail} />
          ) : (
            <Tabs value={place.tab} onValueChange={(tab) => choose(tab as TabKey, 0)}>
              <TabList aria-label="Examples by strength">
                {tabs.map((tab) => (
                  <Tab key={tab.key} value={tab.key} disabled={tab.count === 0} title={tab.explains}>
                    {tab.name} <span className="num font-normal text-muted">{formatCount(tab.count)}</span>
                  </Tab>
                ))}
              </TabList>
              {tabs.map((tab) => (
                <TabPanel key={tab.key} value={tab.key} tabIndex={-1}>
                  {tab.key === "text" ? (
                    <TextExamples texts={detail.texts} onValue={setTokenValue} />
                  ) : (
                    tab.key === place.tab &&
                    dense && (
                      <PicturePanel
                        detail={detail}
                        examples={examples}
                        dense={dense}
                        tab={tab}
                        position={place.position}
                        view={view}
                        setView={setView}
                        cell={cell}
                        onCell={setCell}
                      />
                    )
                  )}
                </TabPanel>
              ))}
            </Tabs>
          )}
        </section>
        <div className="min-w-0 space-y-7 lg:col-start-2">
          <Section title="Explanations">
            <Explanations explanations={detail.explanations} dead={feature.dead} />
          </Section>
          <Section title="Activations">
            <FeatureHistogram detail={detail} mark={mark} />
          </Section>
          <Section title="Numbers">
            <FeatureFacts detail={detail} />
          </Section>
          <Section title="Tokens">
            <FeatureTokens detail={detail} />
          </Section>
          <Section title="Nearest features">
            <Neighbours detail={detail} hrefOf={hrefOf} />
          </Section>
          <Section title="Actions">
            <Actions detail={detail} image={picture?.image ?? null} />
          </Section>
        </div>
      </div>
    </div>
  );
}

/**
 * The stored examples, and with them the picture that the address names where it is not one of those: an engine looks at it (coming from a
 * picture's page the answer is at hand). That picture stays while the page does, whichever is chosen after.
 */
function useExamples(detail: FeatureDetail, image: string | null): { examples: Examples; lookedUp: "idle" | "pending" | "done" } {
  const [guest] = useState(() => (sha256Schema.safeParse(image).success && locate(detail, { tab: null, image }).missing ? image : null));
  const query = useQuery({
    ...analyseQueryOptions({ dictionary: detail.dictionary.ref, image: { sha256: guest ?? "0".repeat(64) } }),
    enabled: guest !== null,
    retry: false,
  });
  const found = useMemo(
    () => (guest && query.data ? exampleFrom(query.data, guest, detail.feature.index) : null),
    [guest, query.data, detail.feature.index],
  );
  const examples = useMemo<Examples>(
    () => ({ texts: detail.texts, examples: found ? { ...detail.examples, here: [found] } : detail.examples }),
    [detail, found],
  );
  return { examples, lookedUp: guest === null ? "idle" : query.isPending ? "pending" : "done" };
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  const id = useId();
  return (
    <section aria-labelledby={id}>
      <h2 id={id} className="mb-2 font-semibold text-sm">
        {title}
      </h2>
      {children}
    </section>
  );
}

/** What there is to say where no example is: that it never fires, that none was stored, or that nobody has run the dictionary on anything. */
function NoExamples({ detail }: { detail: FeatureDetail }) {
  const { feature, dictionary } = detail;
  const measured = feature.density !== null || feature.textDensity !== null || feature.maxActivation !== null;
  const where =
    feature.density === null ? "the texts that were looked at" : `${formatCount(dictionary.counts.images)} pictures and their texts`;
  return (
    <EmptyState title={feature.dead ? "This feature never fires" : "No example is stored"} icon={<ImageOff />} className="py-24">
      {feature.dead
        ? `Over ${where} it was not active once, so there is nothing to show.`
        : measured
          ? "Pictures and texts on which it fires would be here. Its numbers are beside."
          : "Pictures and texts on which it fires would be here. Only the dictionary's weights were imported; import what a cache of its activations holds with facet import --into."}
    </EmptyState>
  );
}
