import { ChevronRight } from "lucide-react";
import Link from "next/link";
import { Fragment } from "react";

/** Where one is; all but the last are links. */
export function Breadcrumbs({ items }: { items: ReadonlyArray<{ name: string; href?: string }> }) {
  return (
    <nav aria-label="Breadcrumbs" className="min-w-0">
      <ol className="flex min-w-0 flex-wrap items-center gap-1 text-muted text-sm">
        {items.map((item, i) => (
          <Fragment key={item.name}>
            {i > 0 && (
              <li aria-hidden>
                <ChevronRight className="size-4" />
              </li>
            )}
            <li className="min-w-0 truncate">
              {item.href ? (
                <Link href={item.href} className="rounded-sm py-1 underline-offset-4 hover:text-ink hover:underline">
                  {item.name}
                </Link>
              ) : (
                <span aria-current="page" className="text-ink">
                  {item.name}
                </span>
              )}
            </li>
          </Fragment>
        ))}
      </ol>
    </nav>
  );
}
