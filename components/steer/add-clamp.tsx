"use client";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Plus, Search } from "lucide-react";
import { type KeyboardEvent, useId, useRef, useState } from "react";
import { cn } from "@/components/ui/cn";
import { inputStyles } from "@/components/ui/input";
import { featuresInfiniteOptions } from "@/lib/api/features";
import { emptyFeatureQuery } from "@/lib/core/feature-query";
import { formatIndex } from "@/lib/core/format";
import type { ImageRef } from "@/lib/core/protocol";
import type { ImageExample } from "@/lib/core/records";
import { FeatureThumb } from "./feature-thumb";
import { pictureFeatures } from "./on-picture";
import { useDebounced } from "./use-debounced";

interface AddClampProps {
  dictionary: string;
  numLatents: number;
  /** The picture of the request: with an empty search box, what fires on it is offered. */
  image: ImageRef | null;
  /** Indices clamped already. */
  clamped: readonly number[];
  onAdd: (feature: { index: number; imageShare: number | null; maxActivation: number | null }) => void;
}

interface Choice {
  index: number;
  label: string | null;
  imageShare: number | null;
  maxActivation: number | null;
  example: ImageExample | null;
  note: string | null;
}

const shown = 8;

/** Adds a feature by words or index, without leaving the page; the box keeps the focus, so that several can be added. */
export function AddClamp({ dictionary, numLatents, image, clamped, onAdd }: AddClampProps) {
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const box = useRef<HTMLInputElement>(null);
  const listId = useId();
  const search = useDebounced(text.trim());

  const found = useInfiniteQuery({
    ...featuresInfiniteOptions({ ...emptyFeatureQuery, dictionary, q: search, sort: "relevance", direction: "desc", limit: shown }),
    enabled: open && search !== "",
    placeholderData: keepPreviousData,
  });
  const onPicture = useQuery({
    ...pictureFeatures(dictionary, image ?? { sha256: "0".repeat(64) }),
    enabled: open && search === "" && image !== null,
  });

  const choices: Choice[] = search
    ? (found.data?.pages[0]?.items ?? []).map(({ index, label, imageShare, maxActivation, top }) => ({
        index,
        label,
        imageShare,
        maxActivation,
        example: top[0] ?? null,
        note: null,
      }))
    : (onPicture.data?.features ?? [])
        .filter((feature) => !feature.alwaysOn && !feature.sink)
        .toSorted((a, b) => b.peak / (b.maxActivation || 1) - a.peak / (a.maxActivation || 1))
        .slice(0, shown)
        .map(({ index, label, maxActivation, peak, map }) => ({
          index,
          label,
          imageShare: 1,
          maxActivation,
          example:
            image && "sha256" in image && onPicture.data
              ? { image: image.sha256, rows: onPicture.data.rows, cols: onPicture.data.cols, peak, mean: 0, map }
              : null,
          note: maxActivation ? `${Math.round((100 * peak) / maxActivation)} % of its maximum here` : null,
        }));
  const at = Math.min(active, choices.length - 1);
  const expanded = open && (search !== "" || image !== null);
  const optionId = (i: number) => `${listId}-${i}`;

  const choose = (choice: Choice | undefined) => {
    if (!choice) return;
    onAdd(choice);
    setText("");
    setActive(0);
    setOpen(false);
    box.current?.focus();
  };

  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) setOpen(true);
      else if (choices.length) {
        const next = (at + (event.key === "ArrowDown" ? 1 : choices.length - 1)) % choices.length;
        setActive(next);
        document.getElementById(optionId(next))?.scrollIntoView({ block: "nearest" });
      }
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (expanded) choose(choices[at]);
      else setOpen(true);
    } else if (event.key === "Escape" && (open || text)) {
      // The first Escape is the list's; a run is stopped by the next.
      event.preventDefault();
      if (open) setOpen(false);
      else setText("");
    }
  };

  const loading = search ? found.isFetching && !found.data : onPicture.isLoading;
  const error = search ? found.error : onPicture.error;
  return (
    <div className="relative">
      <Search className="pointer-events-none absolute top-3 left-3 size-4 text-muted" aria-hidden />
      <input
        ref={box}
        role="combobox"
        aria-label="Add a feature to clamp"
        aria-expanded={expanded}
        aria-controls={listId}
        aria-autocomplete="list"
        aria-activedescendant={expanded && choices.length ? optionId(at) : undefined}
        autoComplete="off"
        spellCheck={false}
        placeholder="Add a feature: words or #index"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onClick={() => setOpen(true)}
        onKeyDown={press}
        className={cn(inputStyles, "h-10 pl-9")}
      />
      {/* biome-ignore lint/a11y/noStaticElementInteractions: only keeps a press in the list from taking the focus */}
      <div
        className={cn("absolute inset-x-0 top-11 z-20 rounded-lg bg-raised p-1 shadow-xl ring-1 ring-line", !expanded && "hidden")}
        // A press in here, on the scroll bar too, leaves the focus in the box.
        onMouseDown={(event) => event.preventDefault()}
      >
        <p className="px-2 pt-1 pb-1 text-muted text-xs" aria-live="polite">
          {error
            ? error.message
            : loading
              ? "Looking…"
              : search
                ? choices.length
                  ? `${found.data?.pages[0]?.total ?? choices.length} found`
                  : `Nothing matches “${search}”. Try fewer or other words, or an index such as #17.`
                : choices.length
                  ? "Active on this picture"
                  : "Type words or an index."}
        </p>
        <div id={listId} role="listbox" aria-label="Features" className="max-h-80 overflow-y-auto">
          {choices.map((choice, i) => (
            // biome-ignore lint/a11y/useFocusableInteractive lint/a11y/useKeyWithClickEvents: the box has the focus and its keys
            <div
              key={choice.index}
              id={optionId(i)}
              role="option"
              aria-selected={i === at}
              onPointerMove={() => setActive(i)}
              onClick={() => choose(choice)}
              className={cn("flex cursor-default items-center gap-3 rounded-md p-1.5", i === at && "bg-sunken")}
            >
              <FeatureThumb example={choice.example} size={40} />
              <span className="min-w-0 grow">
                <span dir="auto" className={cn("block truncate text-sm", !choice.label && "text-muted italic")}>
                  {choice.label ?? "unexplained feature"}
                </span>
                <span className="num block truncate text-muted text-xs">
                  <span className="font-mono">{formatIndex(choice.index, numLatents)}</span>
                  {choice.note && ` · ${choice.note}`}
                  {clamped.includes(choice.index) && " · clamped already"}
                </span>
              </span>
              <Plus className={cn("size-4 shrink-0 text-muted", i !== at && "invisible")} aria-hidden />
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
