import { Skeleton } from "@/components/ui/skeleton";

export default function TraceLoading() {
  return (
    <div className="mx-auto flex w-full max-w-[100rem] flex-col gap-4 px-4 sm:px-6" aria-busy="true">
      <p className="sr-only" role="status">
        Loading the trace
      </p>
      <Skeleton className="mt-3 h-9 w-72" />
      <Skeleton className="h-16" />
      <Skeleton className="h-10 w-96 max-w-full" />
      <div className="grid gap-8 lg:grid-cols-[minmax(0,1fr)_20rem]">
        <Skeleton className="h-80" />
        <Skeleton className="aspect-square max-lg:hidden" />
      </div>
    </div>
  );
}
