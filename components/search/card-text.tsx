"use client";
import { Fragment } from "react";
import { tokenTint } from "@/components/feature/token-tint";
import { useTheme } from "@/components/shell/theme";
import { cn } from "@/components/ui/cn";
import { formatActivation } from "@/lib/core/format";
import type { TextExample } from "@/lib/core/records";
import { decodeMap, toDense } from "@/lib/core/sparse-map";

/** The words around a text's peak in place of a picture, tinted by activation; the link over the card says the rest. */
export function CardText({ text, compact }: { text: TextExample; compact?: boolean }) {
  const theme = useTheme();
  const dense = toDense(decodeMap(text.map), 1, text.tokens.length);
  return (
    <div className="flex aspect-square items-center overflow-hidden rounded-md border border-line bg-surface p-3">
      <p
        dir="auto"
        title={`peak activation ${formatActivation(text.peak)}`}
        className={cn("line-clamp-8 w-full break-words", compact ? "text-xs leading-5" : "text-sm leading-6")}
      >
        {text.tokens.map((token, i) => {
          const tint = tokenTint(dense[i] ?? 0, text.peak, theme);
          const word = token.replaceAll("\n", "↵").trimStart();
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place in the text
            <Fragment key={i}>
              {/* Outside the tint, which would end one line and begin the next. */}
              {i > 0 && word.length < token.length && " "}
              <span
                className={cn("whitespace-pre-wrap rounded-sm", !tint && "text-muted")}
                style={tint ? { background: tint.background, color: tint.ink } : undefined}
              >
                {word}
              </span>
            </Fragment>
          );
        })}
      </p>
    </div>
  );
}
