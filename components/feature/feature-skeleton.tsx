import { Skeleton } from "@/components/ui/skeleton";

/** The feature page's outline while its record is on the way. */
export function FeatureSkeleton() {
  return (
    <div role="status" aria-label="Loading the feature" className="mx-auto w-full max-w-[120rem] px-4 pb-16 sm:px-6">
      <Skeleton className="my-3 h-6 w-64" />
      <div className="grid gap-x-10 gap-y-6 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
        <div className="space-y-4">
          <Skeleton className="h-9 w-full" />
          <div className="grid gap-6 sm:grid-cols-[minmax(0,1fr)_11.5rem]">
            <Skeleton className="aspect-square w-full max-w-[max(18rem,calc(100dvh-23rem))]" />
            <Skeleton className="h-64" />
          </div>
        </div>
        <div className="space-y-4">
          <Skeleton className="h-8 w-3/4" />
          <Skeleton className="h-24" />
          <Skeleton className="h-20" />
          <Skeleton className="h-40" />
        </div>
      </div>
    </div>
  );
}
