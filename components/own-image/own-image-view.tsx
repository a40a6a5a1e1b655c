"use client";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ComparePictures } from "@/components/compare/compare-pictures";
import { TabPanel } from "@/components/local-engine/tab-panel";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { Segmented } from "@/components/ui/segmented";
import { WordsView } from "@/components/words/words-view";
import { enginePackageQueryOptions } from "@/lib/api/engine";
import { asFacetError } from "@/lib/core/errors";
import type { Dictionary } from "@/lib/core/records";
import { isStatic } from "@/lib/core/routes";
import { LookView } from "./look-view";
import { PicturePlace } from "./picture-place";
import { type Mode, useTryAddress } from "./try-address";
import { cataloguePicture, type Picture, usePicture, usePictureName, usePictureSource } from "./use-picture";

const modeNames: Record<Mode, string> = { look: "Look", paint: "Paint a region", compare: "Compare", words: "Words too" };

/**
 * A picture and words of one's own and all that fires on them, found by the model in this tab: they are sent to nobody. A catalogue's picture serves as
 * well; the address names it, and all else that is no picture of one's own.
 */
export function OwnImageView({ dictionary }: { dictionary: Dictionary }) {
  const pack = useQuery(enginePackageQueryOptions(dictionary.ref));
  const [address, change] = useTryAddress();
  const [own, setOwn] = useState<{ first: Picture | null; second: Picture | null }>({ first: null, second: null });
  const picture = address.picture ? cataloguePicture(address.picture) : own.first;
  const second = address.second ? cataloguePicture(address.second) : own.second;
  const { mode } = address;
  const words = mode === "words";
  const looked = usePicture(dictionary.ref, words ? null : picture);
  const src = usePictureSource(picture);
  const name = usePictureName(picture);
  const put = (place: "first" | "second", next: Picture | null) => {
    if (next?.kind !== "catalogue") setOwn((now) => ({ ...now, [place]: next }));
    change({ [place === "first" ? "picture" : "second"]: next?.kind === "catalogue" ? next.id : null }, "push");
  };

  if (pack.data === null || (pack.data && pack.data.sha256 !== dictionary.sha256)) {
    return (
      <EmptyState title={isStatic ? "This copy holds no model for this dictionary" : "This server has no model that a tab could run"}>
        {isStatic
          ? "Choose another dictionary."
          : "Point FACET_ENGINE_DIR at the model’s export and restart, or choose another dictionary."}
      </EmptyState>
    );
  }
  const shown = looked.data && src && picture ? { ...looked.data, picture, src, name: name ?? "" } : null;
  return (
    <div className="flex flex-col gap-5">
      {pack.error && <ErrorState error={asFacetError(pack.error)} onRetry={() => pack.refetch()} />}
      {pack.data && (
        <TabPanel
          pack={pack.data}
          more={{
            title: "What is asked for",
            text: "The names of all features come in one list, so that not even they tell what is on the picture. Examples of a feature are asked for when you press it, and a picture of the catalogue when you choose it.",
          }}
        >
          The model runs in this tab: your picture and your words stay on this machine.
        </TabPanel>
      )}
      <PicturePlace
        label="Your picture"
        picture={picture}
        name={name}
        onPicture={(next) => put("first", next)}
        onRemove={words ? () => put("first", null) : undefined}
        quiet={words}
      >
        {words ? "Words alone are read. A picture before them: drop one here, paste one, or" : "Drop a picture here, paste one, or"}
      </PicturePlace>
      <Segmented<Mode>
        label="What to do with the picture"
        value={mode}
        onChange={(next) => change({ mode: next, region: null }, "push")}
        options={Object.entries(modeNames).map(([value, text]) => ({ value: value as Mode, name: text }))}
        className="self-start"
      />
      {looked.error && <ErrorState error={looked.error} onRetry={looked.retry} />}
      {looked.waits && (
        <p role="status" className="text-muted text-sm">
          {looked.waits}
        </p>
      )}
      {words ? (
        <WordsView
          picture={picture && src ? { picture, src, name: name ?? "" } : null}
          dictionary={dictionary}
          asked={address.words}
          onAsk={(text) => change({ words: text }, "push")}
        />
      ) : shown === null ? (
        !picture && (
          <EmptyState title={mode === "compare" ? "Two pictures are compared" : "No picture yet"}>
            {mode === "compare"
              ? "Choose the first above: your own, or one of the catalogue."
              : "What fires on it is listed here. Words can be read without one: “Words too”."}
          </EmptyState>
        )
      ) : mode === "compare" ? (
        <ComparePictures
          key={shown.picture.id}
          first={shown}
          second={second}
          onSecond={(next) => put("second", next)}
          measure={address.measure}
          onMeasure={(measure) => change({ measure })}
          dictionary={dictionary}
        />
      ) : (
        <LookView
          key={shown.picture.id}
          looked={shown}
          dictionary={dictionary}
          paints={mode === "paint"}
          region={address.region}
          onRegion={(region) => change({ region })}
          ranking={address.ranking}
          onRanking={(ranking) => change({ ranking })}
        />
      )}
    </div>
  );
}
