"use client";
import { useEffect, useRef } from "react";

/** Whether a key press belongs to what has the focus: a field, a menu, a slider, a dialog. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return true;
  return target.closest('[role="menu"],[role="dialog"],[role="slider"],[role="radiogroup"],[role="tablist"],[role="listbox"]') !== null;
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
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (document.querySelector('[role="dialog"][data-state="open"]')) return;
      const handler = latest.current[event.key];
      if (handler && handler(event) !== false) event.preventDefault();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [enabled]);
}
