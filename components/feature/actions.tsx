"use client";
import { Braces, FlaskConical, Frame, Image as ImageIcon, Link2, Pin } from "lucide-react";
import { embedCode } from "@/components/experiment/embed-code";
import { Button } from "@/components/ui/button";
import { LinkButton } from "@/components/ui/link-button";
import type { FeatureDetail } from "@/lib/core/records";
import { absolute, isStatic, noEngineHere, routes } from "@/lib/core/routes";
import { CopyButton } from "./copy-button";
import { summarise } from "./facts";

/** Steer, copy, pin, embed, and the feature as a picture and as JSON. */
export function Actions({ detail, image }: { detail: FeatureDetail; image: string | null }) {
  const { dictionary, feature } = detail;
  const version = dictionary.version.slice(0, 12);
  const address = (pin: boolean) => {
    const url = new URL(window.location.href);
    url.searchParams.delete("from");
    if (pin) url.searchParams.set("v", version);
    return url.href;
  };
  return (
    <div className="flex flex-wrap gap-2">
      {dictionary.engine !== "none" && (
        <LinkButton
          variant="primary"
          size="sm"
          href={routes.steer({ dictionary: dictionary.ref, feature: feature.index, image: image ?? undefined })}
        >
          <FlaskConical aria-hidden />
          Steer this
        </LinkButton>
      )}
      <CopyButton text={() => address(false)} icon={<Link2 aria-hidden />}>
        Copy link
      </CopyButton>
      <CopyButton text={() => address(true)} icon={<Pin aria-hidden />}>
        Copy pinned link
      </CopyButton>
      {!isStatic && (
        <>
          <CopyButton
            text={() => embedCode(absolute(routes.embed.feature(dictionary.ref, feature.index)), summarise(detail).title)}
            icon={<Frame aria-hidden />}
          >
            Embed
          </CopyButton>
          <Button size="sm" asChild>
            <a href={routes.api.featureCard(dictionary.ref, feature.index)} target="_blank" rel="noreferrer">
              <ImageIcon aria-hidden />
              PNG
            </a>
          </Button>
          <Button size="sm" asChild>
            <a href={routes.api.feature(dictionary.ref, feature.index, { v: version })} target="_blank" rel="noreferrer">
              <Braces aria-hidden />
              JSON
            </a>
          </Button>
        </>
      )}
      {dictionary.engine === "none" && (
        <p className="w-full text-muted text-sm">{noEngineHere}: its features can be browsed, not steered with.</p>
      )}
      {dictionary.engine === "unreachable" && (
        <p className="w-full text-muted text-sm">
          Engine not reachable: the worker that is to run this dictionary does not answer now. The sandbox says when it is back.
        </p>
      )}
    </div>
  );
}
