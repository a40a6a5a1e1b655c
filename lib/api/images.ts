/** `GET /api/images` (pages of the catalogue's pictures) and `GET /api/images/<sha256>/info`. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { sha256Schema } from "@/lib/core/protocol";
import { type ImageInfo, imageInfoSchema } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

export const imagePageSchema = z.strictObject({
  items: z.array(imageInfoSchema),
  next: z.string().nullable(),
});
export type ImagePage = z.infer<typeof imagePageSchema>;

export const imageParamsSchema = z.strictObject({ sha256: sha256Schema });

/** Query of `/api/images`. `q` filters by words of the caption. */
export const imagesQuerySchema = z.strictObject({
  q: z.string().max(200, "at most 200 characters").default(""),
  limit: z.coerce.number().int().min(1).max(1000).default(40),
  cursor: z.string().max(100).nullable().default(null),
});
export type ImagesQuery = z.infer<typeof imagesQuerySchema>;

export function fetchImages(query: Partial<ImagesQuery>, signal?: AbortSignal): Promise<ImagePage> {
  return fetchJson(imagePageSchema, routes.api.images({ q: query.q || undefined, limit: query.limit, cursor: query.cursor ?? undefined }), {
    signal,
  });
}

export function imagesInfiniteOptions({ q = "", limit = 40 }: { q?: string; limit?: number } = {}) {
  return infiniteQueryOptions({
    queryKey: ["images", q, limit],
    queryFn: ({ pageParam, signal }) => fetchImages({ q, limit, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page: ImagePage) => page.next,
    staleTime: 300_000,
  });
}

/** Every picture of the catalogue, in the order of import. */
export function allImagesQueryOptions() {
  return queryOptions({
    queryKey: ["images", "all"],
    queryFn: async ({ signal }) => {
      const all: ImageInfo[] = [];
      let cursor: string | null = null;
      do {
        const page: ImagePage = await fetchImages({ limit: 1000, cursor }, signal);
        all.push(...page.items);
        cursor = page.next;
      } while (cursor !== null);
      return all;
    },
    staleTime: 300_000,
  });
}

export function fetchImageInfo(sha256: string, signal?: AbortSignal): Promise<ImageInfo> {
  return fetchJson(imageInfoSchema, routes.api.imageInfo(sha256), { signal });
}

export function imageInfoQueryOptions(sha256: string) {
  return queryOptions({
    queryKey: ["image", sha256],
    queryFn: ({ signal }) => fetchImageInfo(sha256, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
}
