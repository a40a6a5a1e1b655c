import { GridSkeleton } from "@/components/search/feature-grid";
import { Skeleton } from "@/components/ui/skeleton";

export default function Loading() {
  return (
    <div className="mx-auto w-full max-w-[120rem] px-4 pb-12 sm:px-6" role="status" aria-label="Loading the features">
      <div className="space-y-2 pt-4 pb-3">
        <Skeleton className="h-5 w-64" />
        <Skeleton className="h-7 w-80" />
      </div>
      <div className="grid gap-x-8 lg:grid-cols-[17rem_minmax(0,1fr)]">
        <Skeleton className="mt-3 hidden h-[32rem] lg:block" />
        <div>
          <Skeleton className="my-2 h-10 w-full" />
          <GridSkeleton />
        </div>
      </div>
    </div>
  );
}
