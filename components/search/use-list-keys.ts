"use client";
import { useRouter } from "next/navigation";
import { type RefObject, useCallback, useRef, useState } from "react";
import { useKeys } from "@/components/shell/use-keys";
import type { Dictionary, FeatureCard } from "@/lib/core/records";
import { absolute, noEngineHere, routes } from "@/lib/core/routes";
import { stickyHeight } from "./use-place";
import { type RowGeometry, useBrowserLayoutEffect } from "./use-window-rows";

/** The card one was at in each list: who comes Back to a list goes on from there. Lives as long as the tab. */
const cardAt = new Map<string, number>();

interface ListKeysOptions {
  /** Which list it is. */
  listKey: string;
  container: RefObject<HTMLElement | null>;
  items: readonly FeatureCard[];
  geometry: RowGeometry | null;
  dictionary: Pick<Dictionary, "ref" | "engine">;
  version?: string;
  onToggleHeat: () => void;
  /** Moves the card at hand on to its next picture. */
  onNextPicture: (card: FeatureCard) => void;
  /** Says aloud and shows for a moment. */
  onNotice: (text: string) => void;
}

/** Moving through a list with the keyboard: the focus itself moves, so that Enter, and what is read aloud, are the browser's own. */
export function useListKeys(options: ListKeysOptions) {
  const { listKey, container, items, geometry, dictionary, version, onToggleHeat, onNextPicture, onNotice } = options;
  const router = useRouter();
  const [active, setOnlyActive] = useState<number | null>(null);
  const setActive = useCallback(
    (index: number) => {
      cardAt.set(listKey, index);
      setOnlyActive(index);
    },
    [listKey],
  );
  const wanted = useRef<number | null>(null);

  const position = () => {
    const at = active === null ? -1 : items.findIndex((item) => item.index === active);
    return at >= 0 ? at : null;
  };
  const firstVisible = () => {
    if (!geometry) return 0;
    return Math.max(0, Math.ceil((window.scrollY + stickyHeight() - geometry.offset) / geometry.rowHeight)) * geometry.columns;
  };
  /** Where the card one was at is on screen still, it comes first. */
  const entry = () => {
    const known = items.findIndex((item) => item.index === cardAt.get(listKey));
    if (known < 0 || !geometry) return known < 0 ? firstVisible() : known;
    const middle = geometry.offset + (Math.floor(known / geometry.columns) + 0.5) * geometry.rowHeight;
    return middle > window.scrollY + stickyHeight() && middle < window.scrollY + window.innerHeight ? known : firstVisible();
  };
  const moveTo = (next: number) => {
    const clamped = Math.min(items.length - 1, Math.max(0, next));
    const item = items[clamped];
    if (!item) return;
    if (geometry) {
      const top = geometry.offset + Math.floor(clamped / geometry.columns) * geometry.rowHeight;
      const bottom = top + geometry.rowHeight;
      if (top < window.scrollY + stickyHeight()) window.scrollTo(0, top - stickyHeight() - 8);
      else if (bottom > window.scrollY + window.innerHeight) window.scrollTo(0, bottom - window.innerHeight + 8);
    }
    wanted.current = item.index;
    setActive(item.index);
    focusWanted();
  };
  const move = (step: number) => () => {
    const at = position();
    moveTo(at === null ? entry() : at + step);
  };
  const focusWanted = () => {
    if (wanted.current === null) return;
    const link = container.current?.querySelector<HTMLAnchorElement>(`a[data-feature="${wanted.current}"]`);
    if (!link) return;
    wanted.current = null;
    link.focus({ preventScroll: true });
  };
  // A card that was out of the document takes the focus once it is in.
  useBrowserLayoutEffect(focusWanted);

  const withActive = (act: (card: FeatureCard) => void) => () => {
    const at = position();
    const card = at === null ? undefined : items[at];
    if (!card) return false;
    act(card);
  };
  const columns = geometry?.columns ?? 1;
  // Arrow keys scroll the page until a card has the focus.
  const inList =
    (act: () => void, allowed = true) =>
    (event: KeyboardEvent) => {
      if (!allowed || !(event.target instanceof Node) || !container.current?.contains(event.target)) return false;
      act();
    };
  useKeys({
    j: move(1),
    k: move(-1),
    ArrowRight: inList(move(1), columns > 1),
    ArrowLeft: inList(move(-1), columns > 1),
    ArrowDown: inList(move(columns)),
    ArrowUp: inList(move(-columns)),
    s: withActive((card) => {
      if (dictionary.engine === "ready") router.push(routes.steer({ dictionary: dictionary.ref, feature: card.index }));
      else onNotice(noEngineHere);
    }),
    c: withActive((card) => {
      const href = absolute(routes.feature(dictionary.ref, card.index, { v: version }));
      navigator.clipboard.writeText(href).then(
        () => onNotice("Link copied"),
        () => onNotice("The browser did not allow copying"),
      );
    }),
    n: withActive(onNextPicture),
    h: onToggleHeat,
  });
  return { active, setActive };
}
