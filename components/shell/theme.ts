"use client";
import { useSyncExternalStore } from "react";
import type { Theme } from "@/lib/core/heat";

export type ThemeChoice = "system" | Theme;

/** Written and read here and by public/theme.js, which sets the attributes before the first paint. */
const storageKey = "facet-theme";
const listeners = new Set<() => void>();

let stopFollowing: (() => void) | null = null;

/** Every picture on a page asks for the theme: one listener to the system and to other tabs serves them all. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  stopFollowing ??= followSystem();
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    stopFollowing?.();
    stopFollowing = null;
  };
}

function followSystem(): () => void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    apply(choice());
    for (const listener of listeners) listener();
  };
  media.addEventListener("change", follow);
  window.addEventListener("storage", follow);
  return () => {
    media.removeEventListener("change", follow);
    window.removeEventListener("storage", follow);
  };
}

function choice(): ThemeChoice {
  try {
    const stored = localStorage.getItem(storageKey);
    return stored === "light" || stored === "dark" ? stored : "system";
  } catch {
    return "system";
  }
}

function apply(next: ThemeChoice): void {
  const dark = next === "dark" || (next === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

/** Sets the theme where public/theme.js could not: a page that the browser alone has drawn (an address that leads nowhere) runs no script. */
export function restoreTheme(): void {
  if (!document.documentElement.dataset.theme) apply(choice());
}

export function setThemeChoice(next: ThemeChoice): void {
  try {
    if (next === "system") localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, next);
  } catch {
    // Storage is denied: the choice holds until the page is left.
  }
  apply(next);
  for (const listener of listeners) listener();
}

const current = (): Theme => (document.documentElement.dataset.theme === "dark" ? "dark" : "light");

/** The theme on screen. On the server, and until hydration, light. */
export function useTheme(): Theme {
  return useSyncExternalStore<Theme>(subscribe, current, () => "light");
}

export function useThemeChoice(): ThemeChoice {
  return useSyncExternalStore<ThemeChoice>(subscribe, choice, () => "system");
}
