"use client";
import { Check, ChevronsUpDown } from "lucide-react";
import { Button } from "@/components/ui/button";
import { DropdownMenu, DropdownMenuContent, DropdownMenuItem, DropdownMenuTrigger } from "@/components/ui/dropdown-menu";
import type { Dictionary } from "@/lib/core/records";

interface DictionarySelectProps {
  dictionaries: Dictionary[];
  current: string;
  onSelect: (dictionary: Dictionary) => void;
}

const engineWords = { ready: "", unreachable: " · engine not reachable", none: " · no engine here" } as const;

/** Which model and dictionary the request is for. */
export function DictionarySelect({ dictionaries, current, onSelect }: DictionarySelectProps) {
  const chosen = dictionaries.find((dictionary) => dictionary.ref === current);
  const severalModels = new Set(dictionaries.map((dictionary) => dictionary.model.id)).size > 1;
  return (
    <DropdownMenu>
      <DropdownMenuTrigger asChild>
        <Button variant="ghost" className="min-w-0 shrink justify-start px-2" aria-label={`Dictionary ${current}: choose another`}>
          <span className="min-w-0 truncate text-left">
            {chosen ? (
              <>
                {severalModels && <span className="text-muted max-sm:hidden">{chosen.model.name} › </span>}
                {chosen.hook}
              </>
            ) : (
              current
            )}
          </span>
          <ChevronsUpDown className="text-faint" aria-hidden />
        </Button>
      </DropdownMenuTrigger>
      <DropdownMenuContent align="start">
        {dictionaries.map((dictionary) => (
          <DropdownMenuItem key={dictionary.ref} onSelect={() => onSelect(dictionary)}>
            <Check className={dictionary.ref === current ? "text-accent" : "invisible"} aria-hidden />
            <span className="min-w-0">
              <span className="block">
                {dictionary.model.name} › {dictionary.hook}
              </span>
              <span className="block text-muted text-xs">
                {dictionary.numLatents.toLocaleString("en-US")} features{engineWords[dictionary.engine]}
              </span>
            </span>
          </DropdownMenuItem>
        ))}
      </DropdownMenuContent>
    </DropdownMenu>
  );
}
