"use client";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { ImageOff, Search } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { Dialog, DialogContent, DialogTrigger } from "@/components/ui/dialog";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { Input } from "@/components/ui/input";
import { Skeleton } from "@/components/ui/skeleton";
import { imagesInfiniteOptions } from "@/lib/api/images";
import { inPrint } from "@/lib/core/format";
import { routes } from "@/lib/core/routes";
import { useDebounced } from "./use-debounced";

interface PicturePickerProps {
  chosen: string | null;
  onPick: (sha256: string) => void;
  /** What the button says, where that is not "Choose". */
  children?: ReactNode;
}

/** Chooses a picture of the catalogue, by what it is known to show. */
export function PicturePicker({ chosen, onPick, children }: PicturePickerProps) {
  const [open, setOpen] = useState(false);
  return (
    <Dialog open={open} onOpenChange={setOpen}>
      <DialogTrigger asChild>
        <Button size="sm" variant="secondary">
          {children ?? (
            <>
              Choose
              <span className="sr-only"> a picture of the catalogue</span>
            </>
          )}
        </Button>
      </DialogTrigger>
      <DialogContent title="Pictures of the catalogue" className="flex h-[80dvh] w-[min(56rem,calc(100vw-2rem))] flex-col overflow-hidden">
        <Pictures
          chosen={chosen}
          onPick={(sha256) => {
            onPick(sha256);
            setOpen(false);
          }}
        />
      </DialogContent>
    </Dialog>
  );
}

function Pictures({ chosen, onPick }: { chosen: string | null; onPick: (sha256: string) => void }) {
  const [text, setText] = useState("");
  const q = useDebounced(text.trim());
  const pages = useInfiniteQuery({ ...imagesInfiniteOptions({ q, limit: 60 }), placeholderData: keepPreviousData });
  const pictures = pages.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <div className="relative mt-4 shrink-0">
        <Search className="pointer-events-none absolute top-3 left-3 size-4 text-muted" aria-hidden />
        <Input
          type="search"
          aria-label="Search pictures by what they show"
          placeholder="What it shows: lemon, two dogs, a blue background"
          className="pl-9"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </div>
      <div className="mt-4 min-h-0 grow overflow-y-auto" aria-busy={pages.isFetching}>
        {pages.error ? (
          <ErrorState error={pages.error} onRetry={() => pages.refetch()} />
        ) : pages.isPending ? (
          <div className={grid}>
            {Array.from({ length: 24 }, (_, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: blocks without identity
              <Skeleton key={i} className="aspect-square" />
            ))}
          </div>
        ) : pictures.length === 0 ? (
          <EmptyState
            icon={<ImageOff />}
            title={q ? `No picture is known to show “${q}”` : "The catalogue has no pictures"}
            action={q ? <Button onClick={() => setText("")}>Show all</Button> : undefined}
          >
            {q ? "Try one word, such as the name of a thing or a colour." : "Import a bundle, or upload a picture."}
          </EmptyState>
        ) : (
          <>
            <ul className={grid}>
              {pictures.map((picture) => (
                <li key={picture.sha256}>
                  <button
                    type="button"
                    onClick={() => onPick(picture.sha256)}
                    aria-pressed={picture.sha256 === chosen}
                    aria-label={inPrint(picture.caption) ?? `Picture ${picture.sha256.slice(0, 8)}`}
                    title={inPrint(picture.caption) ?? undefined}
                    className={cn(
                      "block aspect-square w-full overflow-hidden rounded-md bg-sunken hover:ring-2 hover:ring-accent",
                      picture.sha256 === chosen && "ring-2 ring-accent",
                    )}
                  >
                    {/* biome-ignore lint/performance/noImgElement: content-addressed and already small */}
                    <img
                      src={routes.api.image(picture.sha256)}
                      alt=""
                      loading="lazy"
                      decoding="async"
                      className="size-full object-contain"
                    />
                  </button>
                </li>
              ))}
            </ul>
            {pages.hasNextPage && (
              <div className="py-4 text-center">
                <Button onClick={() => pages.fetchNextPage()} disabled={pages.isFetchingNextPage}>
                  {pages.isFetchingNextPage ? "Loading…" : "More"}
                </Button>
              </div>
            )}
          </>
        )}
      </div>
    </>
  );
}

const grid = "grid grid-cols-[repeat(auto-fill,minmax(5.5rem,1fr))] gap-2 p-1";
