"use client";
import { QueryClientProvider } from "@tanstack/react-query";
import { NuqsAdapter } from "nuqs/adapters/next/app";
import { type ReactNode, useLayoutEffect, useState } from "react";
import { TooltipProvider } from "@/components/ui/tooltip";
import { makeQueryClient } from "./query-client";
import { restoreTheme } from "./theme";

declare global {
  /** Where style elements that libraries insert (scroll locking under a dialog) look for the page's nonce. */
  var __webpack_nonce__: string | undefined;
}

export function Providers({ nonce, children }: { nonce?: string; children: ReactNode }) {
  const [client] = useState(() => {
    if (typeof window !== "undefined") globalThis.__webpack_nonce__ = nonce;
    return makeQueryClient();
  });
  // The document's attribute, before it is painted.
  useLayoutEffect(restoreTheme, []);
  return (
    <QueryClientProvider client={client}>
      <NuqsAdapter>
        <TooltipProvider>{children}</TooltipProvider>
      </NuqsAdapter>
    </QueryClientProvider>
  );
}
