"use client";
import { Download } from "lucide-react";
import { Button } from "@/components/ui/button";
import { DropdownMenu, DropdownMenuContent, DropdownMenuItem, DropdownMenuTrigger } from "@/components/ui/dropdown-menu";
import type { RankedRow } from "./contributions";
import { fileName, saveText, traceCsv } from "./trace-export";
import type { Trace } from "./use-attribution";

interface ExportMenuProps {
  found: Trace;
  rows: readonly RankedRow[];
  /** The explained word, which names the file. */
  token: string;
}

/** The list as comma-separated values, or all that the engine sent as JSON. */
export function ExportMenu({ found, rows, token }: ExportMenuProps) {
  return (
    <DropdownMenu>
      <DropdownMenuTrigger asChild>
        <Button size="sm" variant="ghost">
          <Download aria-hidden />
          Export
        </Button>
      </DropdownMenuTrigger>
      <DropdownMenuContent align="end">
        <DropdownMenuItem onSelect={() => saveText(traceCsv(rows), fileName(token, "csv"), "text/csv")}>
          CSV: the list as it is filtered
        </DropdownMenuItem>
        <DropdownMenuItem onSelect={() => saveText(JSON.stringify(found.raw, null, 2), fileName(token, "json"), "application/json")}>
          JSON: everything, with the request
        </DropdownMenuItem>
      </DropdownMenuContent>
    </DropdownMenu>
  );
}
