"use client";
/** What a reader has set on a feature page, kept in the address so that a link shows the same. Replaced in place: Back leaves the page. */
import { createParser, parseAsString, parseAsStringLiteral, useQueryStates } from "nuqs";
import { tabKeys } from "./pictures";

/** Heat's opacity in whole percent. */
const parseOpacity = createParser({
  parse: (text) => (/^\d{1,3}$/.test(text) && Number(text) <= 100 ? Number(text) : null),
  serialize: String,
});

const parsers = {
  band: parseAsStringLiteral(tabKeys),
  /** First digits of the picture's SHA-256. */
  image: parseAsString,
  heat: parseAsStringLiteral(["on", "off"] as const).withDefault("on"),
  opacity: parseOpacity.withDefault(85),
  draw: parseAsStringLiteral(["smooth", "cells"] as const).withDefault("smooth"),
};

export function useViewState() {
  return useQueryStates(parsers, { history: "replace", shallow: true, scroll: false });
}

export type ViewState = ReturnType<typeof useViewState>[0];
export type SetViewState = ReturnType<typeof useViewState>[1];

/** The part of the state that goes along to the next feature: how one looks, not at which picture. */
export function carriedState(state: ViewState): { band?: string; heat?: string; opacity?: string; draw?: string } {
  return {
    band: state.band === "here" ? undefined : (state.band ?? undefined),
    heat: state.heat === "off" ? "off" : undefined,
    opacity: state.opacity === 85 ? undefined : String(state.opacity),
    draw: state.draw === "cells" ? "cells" : undefined,
  };
}
