"use client";
/** Requests run in this tab, told as the server's streams tell it. */
import type { QueryClient } from "@tanstack/react-query";
import type { FeatureNames } from "@/lib/api/engine";
import { type AttributionEvent, type AttributionRequestInput, attributionRequestSchema } from "@/lib/core/attribution";
import { type EngineEvent, type GenerateRequestInput, generateRequestSchema } from "@/lib/core/protocol";
import type { TabEngine } from "@/lib/engine/web/tab-engine";
import { engineOf } from "./engine-of";
import { failedInTab } from "./in-tab";

/** Each feature's maximum over the catalogue, as the server's engine is told it; 0 where it never fired. */
export function unitsOf({ items }: FeatureNames): Float32Array {
  // Not spread into Math.max: a call takes no hundred thousand arguments.
  const units = new Float32Array(items.reduce((most, { index }) => Math.max(most, index + 1), 0));
  for (const { index, maxActivation } of items) units[index] = Math.max(0, maxActivation ?? 0);
  return units;
}

/** The events of the dictionary's engine, which is loaded where it is not. */
async function* inTab<E>(
  client: QueryClient,
  dictionary: string,
  signal: AbortSignal,
  events: (engine: TabEngine, units: Float32Array) => AsyncGenerator<E, void, void>,
): AsyncGenerator<E, void, void> {
  try {
    const { engine, names } = await engineOf(client, dictionary, signal);
    yield* events(engine, unitsOf(names));
  } catch (thrown) {
    throw failedInTab(thrown);
  }
}

/** Loads the model where it is not, then runs. Throws as the engine does; an abort ends it within a token. */
export function steerInTab(
  client: QueryClient,
  input: GenerateRequestInput,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<EngineEvent, void, void> {
  const request = generateRequestSchema.parse(input);
  return inTab(client, request.dictionary, signal, (engine, units) => engine.generate(request, units, new Map(), signal));
}

/** The same of an attribution; an abort ends it between two passes. */
export function attributeInTab(
  client: QueryClient,
  input: AttributionRequestInput,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<AttributionEvent, void, void> {
  const request = attributionRequestSchema.parse(input);
  return inTab(client, request.dictionary, signal, (engine, units) => engine.attribute(request, units, new Map(), signal));
}
