import { QueryClient } from "@tanstack/react-query";

/** The catalogue changes only by an import: what was fetched stays fresh while the page is open. Errors that a repeat cannot mend are not repeated. */
export function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10 * 60 * 1000,
        gcTime: 30 * 60 * 1000,
        refetchOnWindowFocus: false,
        retry: (failures, error) => failures < 2 && (error as { retry?: boolean }).retry !== false,
      },
    },
  });
}
