import { Textarea } from "@/components/ui/input";

/** What was to be copied, to copy by hand; nothing where `text` is null, because the browser took it. */
export function CopyFallback({ text }: { text: string | null }) {
  if (text === null) return null;
  return (
    <div>
      <p className="mb-1 text-sm">This browser does not let pages copy. Copy it from here:</p>
      <Textarea readOnly aria-label="Text to copy" value={text} rows={4} onFocus={(event) => event.currentTarget.select()} />
    </div>
  );
}
