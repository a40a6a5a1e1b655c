"use client";
import { Sandbox } from "@/components/steer/sandbox";
import { EntryPage } from "./entry";
import { Waiting } from "./shown";

const keys = ["r", "dictionary", "feature", "image"] as const;

export function SteerPage() {
  return (
    <EntryPage keys={keys} waiting={<Waiting />}>
      {({ entry, dictionaries, key }) => (
        <Sandbox
          key={key}
          initial={entry.link}
          fresh={entry.fresh}
          mayResume={entry.mayResume}
          notice={entry.notice}
          dictionaries={dictionaries}
          savingOff
        />
      )}
    </EntryPage>
  );
}
