"use client";
import type { ReactNode } from "react";
import { formatActivation, formatIndex, formatNoun, formatPercent, formatSeconds } from "@/lib/core/format";
import type { ClampReceipt, Receipt } from "@/lib/core/protocol";
import { describeReceipt } from "@/lib/core/receipt";
import { describeScope, describeStrength } from "./clamp-words";
import { CopyButton } from "./copy-button";
import { Fold } from "./fold";

type Count = { planned: number; changed: number };

const cell = "num whitespace-nowrap px-2 py-1 text-right align-top";

function Counts({ name, image, prompt, generated }: { name: ReactNode; image: Count; prompt: Count; generated: Count }) {
  return (
    <tr>
      <th scope="row" className="whitespace-nowrap py-1 pr-2 text-left align-top font-normal">
        {name}
      </th>
      {[image, prompt, generated].map(({ planned, changed }, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: three fixed columns
        <td key={i} className={cell}>
          {planned === 0 ? <span className="text-muted">none</span> : `${changed} / ${planned}`}
        </td>
      ))}
    </tr>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="grid grid-cols-[7.5rem_minmax(0,1fr)] gap-x-3 py-1">
      <dt className="text-muted">{name}</dt>
      <dd className="num min-w-0 break-words">{children}</dd>
    </div>
  );
}

const short = (sha256: string) => <code className="font-mono text-xs">{sha256.slice(0, 12)}</code>;

const finishes = { stop: "the model ended it", length: "cut at the longest answer", cancelled: "stopped" } as const;

/** What an arm really did: a sentence, and on demand every count, norm, hash and timing. */
export function ReceiptView({ receipt }: { receipt: Receipt }) {
  const { prefill, decode, clamps, timingsMs, tokens, sampling, engine, model, dictionary } = receipt;
  const rate = timingsMs.decode > 0 ? `, ${Math.round((1000 * tokens) / timingsMs.decode)} tokens/s` : "";
  // The model alone has no positions to count.
  const counted = clamps.length > 0 || [prefill.image, prefill.text, decode].some(({ planned }) => planned > 0);
  return (
    <div className="text-sm">
      <p className="text-muted">{describeReceipt(receipt)}</p>
      <Fold title="Receipt" summary={`${formatNoun(tokens, "token")} · ${formatSeconds((timingsMs.prefill + timingsMs.decode) / 1000)}`}>
        {counted && (
          <div className="relative overflow-x-auto">
            <table className="w-full">
              <caption className="sr-only">Positions changed, of those that the scopes cover</caption>
              <thead className="text-muted text-xs">
                <tr>
                  <th scope="col" className="py-1 pr-2 text-left font-normal">
                    changed
                  </th>
                  {["image", "prompt", "generated"].map((name) => (
                    <th key={name} scope="col" className="px-2 py-1 text-right font-normal">
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                <Counts name="All clamps" image={prefill.image} prompt={prefill.text} generated={decode} />
              </tbody>
              {clamps.map((clamp, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: in the request's order; one feature may come twice
                <tbody key={i} className="border-line border-t">
                  <tr>
                    <th scope="rowgroup" colSpan={4} className="pt-1 text-left font-normal">
                      <ClampName clamp={clamp} />
                    </th>
                  </tr>
                  <Counts name={<span className="text-muted text-xs">positions</span>} {...clamp} />
                </tbody>
              ))}
            </table>
          </div>
        )}
        <dl className="mt-2 divide-y divide-line">
          <Fact name="Size of a change">
            {receipt.relativeNorm === null ? "nothing changed" : `${formatPercent(receipt.relativeNorm)} of the hidden state's norm, mean`}
          </Fact>
          <Fact name="End">{finishes[receipt.finish]}</Fact>
          <Fact name="Time">
            {timingsMs.queued >= 1 && `${formatSeconds(timingsMs.queued / 1000)} queued, `}
            {formatSeconds(timingsMs.prefill / 1000)} prefill, {formatSeconds(timingsMs.decode / 1000)} decoding{rate}
          </Fact>
          <Fact name="Sampling">
            {sampling.temperature === 0
              ? `greedy, up to ${sampling.maxTokens} tokens`
              : `temperature ${sampling.temperature}, top-p ${sampling.topP}, seed ${sampling.seed}, up to ${sampling.maxTokens} tokens`}
          </Fact>
          <Fact name="Method">{receipt.mode}</Fact>
          <Fact name="Model">
            {model.id} {short(model.sha256)}
          </Fact>
          <Fact name="Dictionary">
            {dictionary.id} at {dictionary.hook} {short(dictionary.sha256)}
          </Fact>
          <Fact name="Engine">
            {engine.name} {engine.version}, {engine.dtype}
          </Fact>
        </dl>
        <div className="mt-2">
          <CopyButton text={() => JSON.stringify(receipt, null, 2)}>Copy receipt as JSON</CopyButton>
        </div>
      </Fold>
    </div>
  );
}

function ClampName({ clamp }: { clamp: ClampReceipt }) {
  return (
    <>
      <span className="font-mono text-xs">{formatIndex(clamp.feature)}</span> {describeStrength(clamp)}, {describeScope(clamp.scope)}
      <span className="num block text-muted text-xs">
        mean activation {formatActivation(clamp.meanBefore)} → {formatActivation(clamp.meanAfter)}
        {clamp.meanReencoded != null && `, found again by the encoder: ${formatActivation(clamp.meanReencoded)}`}
      </span>
    </>
  );
}
