"use client";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Command } from "cmdk";
import { Bookmark, Contrast, FlaskConical, Hash, House, ImageUp, Keyboard, Library, MessageCircleQuestion, Search } from "lucide-react";
import { useRouter } from "next/navigation";
import { type ReactNode, useDeferredValue, useEffect, useRef, useState } from "react";
import { ConceptGlyph } from "@/components/search/concept";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { dictionariesQueryOptions } from "@/lib/api/dictionaries";
import { featuresInfiniteOptions } from "@/lib/api/features";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { formatIndex } from "@/lib/core/format";
import { routes } from "@/lib/core/routes";
import { useCurrentDictionary } from "./current-dictionary";
import { setOverlay, useOverlay } from "./overlays";
import { setThemeChoice, useTheme } from "./theme";

const shown = 6;

export function CommandPalette() {
  const open = useOverlay() === "palette";
  // Key presses anywhere on the page, also while a field has the focus.
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) {
        event.preventDefault();
        setOverlay("palette");
      }
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
  return (
    <Dialog open={open} onOpenChange={(next) => setOverlay(next ? "palette" : null)}>
      <DialogContent title="Jump to" bare className="overflow-hidden">
        {open && <Palette />}
      </DialogContent>
    </Dialog>
  );
}

function Palette() {
  const [words, setWords] = useState("");
  const search = useDeferredValue(words.trim());
  const router = useRouter();
  const theme = useTheme();
  const { ref } = useCurrentDictionary();
  const dictionaries = useQuery(dictionariesQueryOptions());
  const here = dictionaries.data?.find((dictionary) => dictionary.ref === ref) ?? dictionaries.data?.[0];
  const found = useInfiniteQuery({
    ...featuresInfiniteOptions(parseFeatureQuery({ dictionary: here?.ref ?? "-/-", q: search, limit: String(shown) })),
    enabled: Boolean(here && search),
    placeholderData: keepPreviousData,
  });
  const go = (href: string) => {
    setOverlay(null);
    router.push(href);
  };
  const lower = search.toLowerCase();
  const matches = (text: string) => text.toLowerCase().includes(lower);
  const number = /^#?(\d{1,9})$/.exec(search)?.[1];
  const index = number === undefined ? null : Number(number);
  const features = search ? (found.data?.pages[0]?.items ?? []).filter((item) => item.index !== index) : [];
  const actions = [
    { name: "Home", icon: <House />, run: () => go(routes.home()) },
    {
      name: "Steer: open the sandbox",
      icon: <FlaskConical />,
      run: () => go(routes.steer(here?.engine === "ready" ? { dictionary: here.ref } : {})),
    },
    {
      name: "Trace: why did it say that?",
      icon: <MessageCircleQuestion />,
      run: () => go(routes.trace(here?.engine === "ready" ? { dictionary: here.ref } : {})),
    },
    {
      name: "Your picture: what fires on it",
      icon: <ImageUp />,
      // The address may tell it before the list of dictionaries is here.
      run: () => go(routes.ownImage({ dictionary: here?.ref ?? ref ?? undefined })),
    },
    { name: "Experiments: what was saved", icon: <Bookmark />, run: () => go(routes.experiments()) },
    {
      name: theme === "dark" ? "Light theme" : "Dark theme",
      icon: <Contrast />,
      run: () => {
        setThemeChoice(theme === "dark" ? "light" : "dark");
        setOverlay(null);
      },
    },
    { name: "Keyboard help", icon: <Keyboard />, run: () => setOverlay("keys") },
  ].filter((action) => matches(action.name));
  const others = (dictionaries.data ?? []).filter(
    (dictionary) => dictionary.ref !== ref && matches(`${dictionary.ref} ${dictionary.model.name}`),
  );
  // The best answer is chosen as it comes in, until someone moves on from it.
  const best = index !== null && here && index < here.numLatents ? `index-${index}` : features[0] ? `feature-${features[0].index}` : "";
  const [chosen, setChosen] = useState({ best, value: "" });
  const value = chosen.best === best ? chosen.value : best;
  const root = useRef<HTMLDivElement>(null);
  // cmdk names the chosen option to assistive technology only when it chose it itself; else it goes on naming one that may be gone.
  useEffect(() => {
    const option = root.current?.querySelector('[role="option"][aria-selected="true"]');
    for (const element of root.current?.querySelectorAll('[role="combobox"], [role="listbox"]') ?? []) {
      if (option) element.setAttribute("aria-activedescendant", option.id);
      else element.removeAttribute("aria-activedescendant");
    }
  });
  return (
    <Command ref={root} label="Jump to" shouldFilter={false} loop value={value} onValueChange={(next) => setChosen({ best, value: next })}>
      <Command.Input
        autoFocus
        value={words}
        onValueChange={setWords}
        placeholder="A feature's index or words, a dictionary, an action"
        className="h-14 w-full bg-transparent px-4 shadow-[inset_0_-1px_0_var(--line)] outline-none placeholder:text-faint"
      />
      <Command.List className="max-h-[60vh] overflow-auto p-2">
        <Command.Empty className="p-6 text-center text-muted text-sm">
          {found.isFetching ? "Searching…" : "Nothing has that name."}
        </Command.Empty>
        {here && search && (
          <Group heading={`Features of ${here.ref}`}>
            {index !== null && index < here.numLatents && (
              <Item value={`index-${index}`} icon={<Hash />} onSelect={() => go(routes.feature(here.ref, index))}>
                Feature <span className="font-mono">{formatIndex(index, here.numLatents)}</span>
              </Item>
            )}
            {features.map((feature) => (
              <Item
                key={feature.index}
                value={`feature-${feature.index}`}
                icon={<ConceptGlyph concept={feature.concept} />}
                onSelect={() => go(routes.feature(here.ref, feature.index))}
              >
                <span className="grow truncate">{feature.label ?? <span className="text-muted italic">no explanation</span>}</span>
                <span className="font-mono text-muted text-xs">{formatIndex(feature.index, here.numLatents)}</span>
              </Item>
            ))}
            <Item value="search-all" icon={<Search />} onSelect={() => go(routes.dictionary(here.ref, { q: search }))}>
              All features that match “{search}”
            </Item>
          </Group>
        )}
        {others.length > 0 && (
          <Group heading="Dictionaries">
            {others.slice(0, 8).map((dictionary) => (
              <Item key={dictionary.ref} value={dictionary.ref} icon={<Library />} onSelect={() => go(routes.dictionary(dictionary.ref))}>
                <span className="truncate">
                  {dictionary.model.name} › {dictionary.hook}
                </span>
              </Item>
            ))}
          </Group>
        )}
        {actions.length > 0 && (
          <Group heading="Actions">
            {actions.map((action) => (
              <Item key={action.name} value={action.name} icon={action.icon} onSelect={action.run}>
                {action.name}
              </Item>
            ))}
          </Group>
        )}
      </Command.List>
    </Command>
  );
}

function Group({ heading, children }: { heading: string; children: ReactNode }) {
  return (
    <Command.Group
      heading={heading}
      className="[&_[cmdk-group-heading]]:px-3 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-muted [&_[cmdk-group-heading]]:text-xs"
    >
      {children}
    </Command.Group>
  );
}

function Item({ value, icon, onSelect, children }: { value: string; icon: ReactNode; onSelect: () => void; children: ReactNode }) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex min-h-10 cursor-default items-center gap-3 rounded-md px-3 py-2 text-sm data-[selected=true]:bg-sunken [&_svg]:size-4 [&_svg]:shrink-0"
    >
      <span className="text-muted" aria-hidden>
        {icon}
      </span>
      {children}
    </Command.Item>
  );
}
