"use client";
import { DictionaryChoice } from "@/components/image/dictionary-choice";
import { useFragment } from "@/components/region/use-fragment";
import { routes } from "@/lib/core/routes";

/** Another dictionary for what is looked at: the rest of the address stays, and so does a picture of one's own. */
export function TryDictionary({ current, choices }: { current: string; choices: readonly { ref: string; id: string }[] }) {
  const [fragment] = useFragment();
  return <DictionaryChoice current={current} choices={choices} hrefOf={(ref) => `${routes.ownImage({ dictionary: ref })}${fragment}`} />;
}
