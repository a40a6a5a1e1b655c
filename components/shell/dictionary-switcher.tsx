"use client";
import { useQuery } from "@tanstack/react-query";
import { Command } from "cmdk";
import { group } from "d3";
import { Check, ChevronsUpDown } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { cn } from "@/components/ui/cn";
import { ErrorState } from "@/components/ui/error-state";
import { Popover, PopoverContent, PopoverTrigger } from "@/components/ui/popover";
import { Skeleton } from "@/components/ui/skeleton";
import { dictionariesQueryOptions } from "@/lib/api/dictionaries";
import { formatCount } from "@/lib/core/format";
import { routes, splitRef } from "@/lib/core/routes";
import { useCurrentDictionary } from "./current-dictionary";

/** model › hook › dictionary: shows the one at hand and opens another. */
export function DictionarySwitcher({ className }: { className?: string }) {
  const { ref } = useCurrentDictionary();
  const [open, setOpen] = useState(false);
  const router = useRouter();
  const dictionaries = useQuery({ ...dictionariesQueryOptions(), enabled: open });
  const current = ref ? splitRef(ref) : null;
  const models = group(dictionaries.data ?? [], (dictionary) => dictionary.model.name);
  return (
    <Popover open={open} onOpenChange={setOpen}>
      <PopoverTrigger
        aria-label={current ? `Dictionary ${ref}: switch` : "Choose a dictionary"}
        className={cn(
          "inline-flex h-10 min-w-0 max-w-72 items-center md:shrink-0 gap-1.5 rounded-md px-2 text-sm hover:bg-sunken",
          className,
        )}
      >
        {current ? (
          <span className="flex min-w-0 items-baseline gap-1.5">
            <span className="hidden truncate text-muted lg:inline">{current.model}</span>
            <span className="hidden text-faint lg:inline" aria-hidden>
              ›
            </span>
            <span className="truncate font-mono text-xs">{current.dictionary}</span>
          </span>
        ) : (
          <span className="truncate">Dictionaries</span>
        )}
        <ChevronsUpDown className="size-4 shrink-0 text-faint" aria-hidden />
      </PopoverTrigger>
      <PopoverContent align="start" className="w-96 p-0">
        {dictionaries.error ? (
          <ErrorState error={dictionaries.error} onRetry={() => dictionaries.refetch()} />
        ) : (
          <Command label="Dictionaries">
            <Command.Input
              placeholder="Find a model, hook or dictionary"
              className="h-11 w-full bg-transparent px-4 text-sm shadow-[inset_0_-1px_0_var(--line)] outline-none placeholder:text-faint"
            />
            <Command.List className="max-h-80 overflow-auto p-2">
              {dictionaries.isPending && <Skeleton className="m-2 h-12" />}
              {dictionaries.data && (
                <Command.Empty className="p-4 text-center text-muted text-sm">No dictionary has that name.</Command.Empty>
              )}
              {[...models].map(([model, entries]) => (
                <Command.Group
                  key={model}
                  heading={model}
                  className="[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1 [&_[cmdk-group-heading]]:text-muted [&_[cmdk-group-heading]]:text-xs"
                >
                  {entries.map((dictionary) => (
                    <Command.Item
                      key={dictionary.ref}
                      value={`${dictionary.ref} ${dictionary.model.name} ${dictionary.hook}`}
                      onSelect={() => {
                        setOpen(false);
                        router.push(routes.dictionary(dictionary.ref));
                      }}
                      className="flex cursor-default items-center gap-2 rounded-md px-2 py-2 data-[selected=true]:bg-sunken"
                    >
                      <span className="min-w-0 grow">
                        <span className="block truncate text-sm">
                          {dictionary.hook}
                          {dictionary.id !== dictionary.hook && ` › ${dictionary.id}`}
                        </span>
                        <span className="num block text-muted text-xs">
                          {formatCount(dictionary.numLatents)} latents · {dictionary.activation}
                          {dictionary.k ? `, k = ${dictionary.k}` : ""}
                        </span>
                      </span>
                      {dictionary.ref === ref && <Check className="size-4 text-accent" aria-label="open now" />}
                    </Command.Item>
                  ))}
                </Command.Group>
              ))}
            </Command.List>
          </Command>
        )}
      </PopoverContent>
    </Popover>
  );
}
