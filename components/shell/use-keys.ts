"use client";
import { useEffect, useRef } from "react";

/**
 * Whether a key press belongs to what has the focus: every key in a field, a menu or a dialog; in a slider, tabs or a list only the named
 * ones (arrows, Enter, Home), so that letters still act on the page.
 */
export function isTaken(key: string, target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return true;
  if (target.closest('[role="menu"],[role="dialog"]')) return true;
  return key.length > 1 && target.closest('[role="slider"],[role="radiogroup"],[role="tablist"],[role="listbox"]') !== null;
}

/**
 * Single keys of a page (`KeyboardEvent.key`, e.g. "j", "ArrowDown"); silent while someone types or a dialog is open. A handler that
 * answers `false` leaves the key to the browser.
 */
export function useKeys(handlers: Record<string, (event: KeyboardEvent) => unknown>, enabled = true): void {
  const latest = useRef(handlers);
  latest.current = handlers;
  // The document's key presses are outside React.
  useEffect(() => {
    if (!enabled) return;
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTaken(event.key, event.target)) return;
      if (document.querySelector('[role="dialog"][data-state="open"]')) return;
      const handler = latest.current[event.key];
      if (handler && handler(event) !== false) event.preventDefault();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [enabled]);
}
