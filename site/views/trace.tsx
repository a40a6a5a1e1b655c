"use client";
import { useSearchParams } from "next/navigation";
import { TraceView } from "@/components/trace/trace-view";
import { readTraceView } from "@/lib/core/trace-link";
import { EntryPage } from "./entry";
import { Waiting } from "./shown";

const keys = ["r", "dictionary", "image"] as const;

export function TracePage() {
  const search = useSearchParams();
  return (
    <EntryPage keys={keys} waiting={<Waiting />}>
      {({ entry, dictionaries, key }) => (
        <TraceView
          key={key}
          initial={entry.link}
          initialView={readTraceView((name) => search.get(name) ?? undefined)}
          notice={entry.notice}
          dictionaries={dictionaries}
          savingOff
        />
      )}
    </EntryPage>
  );
}
