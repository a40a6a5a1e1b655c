import { Skeleton } from "@/components/ui/skeleton";

export default function SteerLoading() {
  return (
    <div className="mx-auto w-full max-w-[120rem] px-4 sm:px-6" aria-busy="true">
      <p className="sr-only" role="status">
        Loading the sandbox
      </p>
      <div className="flex items-center justify-between py-3">
        <Skeleton className="h-10 w-64" />
        <Skeleton className="h-10 w-24" />
      </div>
      <div className="grid gap-6 md:grid-cols-2 lg:grid-cols-[13rem_23rem_minmax(0,1fr)] xl:grid-cols-[18rem_26rem_minmax(0,1fr)] xl:gap-x-8">
        <Skeleton className="aspect-square max-h-72" />
        <Skeleton className="h-64 max-md:hidden" />
        <Skeleton className="h-48 max-lg:hidden" />
      </div>
    </div>
  );
}
