import type { ReactNode } from "react";

/** Something that is to be known before a run. */
export function Banner({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div role="status" className="flex flex-wrap items-center gap-3 rounded-md bg-raised px-3 py-2 text-sm ring-1 ring-warn">
      <p className="min-w-0 grow basis-64">{children}</p>
      {action}
    </div>
  );
}
