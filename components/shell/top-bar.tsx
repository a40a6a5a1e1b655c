"use client";
import { Bookmark, FlaskConical, Keyboard, MessageCircleQuestion, Search } from "lucide-react";
import Link from "next/link";
import { usePathname } from "next/navigation";
import { cn } from "@/components/ui/cn";
import { IconButton } from "@/components/ui/icon-button";
import { routes } from "@/lib/core/routes";
import { useCurrentDictionary } from "./current-dictionary";
import { DictionarySwitcher } from "./dictionary-switcher";
import { FacetMark } from "./facet-mark";
import { setOverlay } from "./overlays";
import { SearchBox } from "./search-box";
import { ThemeMenu } from "./theme-menu";
import { useKeys } from "./use-keys";

export function TopBar() {
  const pathname = usePathname();
  const { ref } = useCurrentDictionary();
  const steering = pathname === routes.steer();
  const tracing = pathname === routes.trace();
  const saved = pathname === routes.experiments() || pathname.startsWith(routes.experiment("").split("?")[0] as string);
  // The home page has the search box in its middle.
  const home = pathname === routes.home();
  useKeys({
    "?": () => setOverlay("keys"),
    // Whichever listener comes first after a navigation: a search box that is on screen takes the key.
    "/": () => {
      if (home || [...document.querySelectorAll<HTMLElement>("search input")].some((box) => box.offsetParent)) return false;
      setOverlay("palette");
    },
  });
  return (
    <header className="sticky top-0 z-30 bg-surface shadow-[0_1px_0_var(--line)]">
      <div className="mx-auto flex h-14 max-w-[120rem] items-center gap-1 px-4 sm:gap-2 sm:px-6">
        <Link href={routes.home()} className="mr-1 flex items-center gap-2 rounded-md py-2 pr-1 font-semibold sm:mr-2">
          <FacetMark className="size-6" />
          <span className={cn(ref && "max-sm:sr-only")}>Facet</span>
        </Link>
        <DictionarySwitcher />
        {!home && <SearchBox className="mx-auto hidden w-full max-w-xl md:block" />}
        <div className="ml-auto flex items-center sm:gap-1">
          <IconButton
            label={home ? "Jump to" : "Search and jump"}
            shortcut="Ctrl K"
            className={cn(!home && "md:hidden")}
            onClick={() => setOverlay("palette")}
          >
            <Search />
          </IconButton>
          <Link
            href={routes.steer(ref ? { dictionary: ref } : {})}
            aria-current={steering ? "page" : undefined}
            className={cn(
              "inline-flex h-10 items-center gap-2 rounded-md px-2 font-medium text-sm hover:bg-sunken sm:px-3",
              steering && "bg-accent-soft text-accent hover:bg-accent-soft",
            )}
          >
            <FlaskConical className="size-5 sm:size-4" aria-hidden />
            <span className="max-sm:sr-only">Steer</span>
          </Link>
          <Link
            href={routes.trace(ref ? { dictionary: ref } : {})}
            aria-current={tracing ? "page" : undefined}
            className={cn(
              "inline-flex h-10 items-center gap-2 rounded-md px-2 font-medium text-sm hover:bg-sunken sm:px-3",
              tracing && "bg-accent-soft text-accent hover:bg-accent-soft",
            )}
          >
            <MessageCircleQuestion className="size-5 sm:size-4" aria-hidden />
            <span className="max-sm:sr-only">Trace</span>
          </Link>
          <Link
            href={routes.experiments()}
            aria-current={saved ? "page" : undefined}
            className={cn(
              "inline-flex h-10 items-center gap-2 rounded-md px-2 font-medium text-sm hover:bg-sunken sm:px-3",
              saved && "bg-accent-soft text-accent hover:bg-accent-soft",
            )}
          >
            <Bookmark className="size-5 xl:size-4" aria-hidden />
            <span className="max-xl:sr-only">Experiments</span>
          </Link>
          <span className="hidden sm:inline-flex">
            <IconButton label="Keyboard help" shortcut="?" onClick={() => setOverlay("keys")}>
              <Keyboard />
            </IconButton>
          </span>
          <ThemeMenu />
        </div>
      </div>
    </header>
  );
}
