"use client";
import { type PointerEvent, useEffect, useRef, useState } from "react";
import { brokenZones, dosePath, doseScales, nearestPoint } from "./dose-curve-marks";

export interface DoseSeries {
  name: string;
  /** A colour of the theme. */
  colour: string;
  dash?: string;
  /** Between 0 and 1, one for each strength; null where it is not known. */
  shares: (number | null)[];
}

interface DoseCurveProps {
  /** What the chart shows, read aloud; its numbers are in the list beside it. */
  label: string;
  /** In ascending order. */
  points: { value: number; broken: boolean }[];
  series: DoseSeries[];
  formatStrength: (value: number) => string;
  /** Which point is held. */
  chosen: number | null;
  onChoose: (point: number) => void;
}

const height = 168;
const left = 52;
const right = 14;
const top = 10;
const bottom = 28;
const ticks = [0, 0.25, 0.5, 0.75, 1];

/** Shares against the strength of a clamp. Points are pressed with the pointer; the keyboard has the list of the same points. */
export function DoseCurveChart({ label, points, series, formatStrength, chosen, onChoose }: DoseCurveProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(560);

  // Text keeps its size at every width, so the drawing is made for the width that there is.
  useEffect(() => {
    if (!frame.current) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.max(220, entry.contentRect.width)));
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);

  const inner = width - left - right;
  const scales = doseScales(
    points.map(({ value }) => value),
    inner,
    height,
  );
  const { x, y } = scales;
  const press = (event: PointerEvent<SVGSVGElement>) => {
    const at = event.clientX - event.currentTarget.getBoundingClientRect().left - left;
    onChoose(nearestPoint(points, x, at));
  };
  const held = chosen === null ? undefined : points[chosen];
  return (
    <div ref={frame} className="w-full">
      <svg
        width={width}
        height={top + height + bottom}
        viewBox={`0 0 ${width} ${top + height + bottom}`}
        role="img"
        aria-label={label}
        className="block max-w-full cursor-pointer select-none"
        onPointerDown={press}
      >
        <g transform={`translate(${left} ${top})`}>
          {brokenZones(points, x, inner).map((zone) => (
            <rect key={zone.x} x={zone.x} y={0} width={zone.width} height={height} className="fill-bad" opacity={0.12} />
          ))}
          {ticks.map((share) => (
            <g key={share}>
              <line x1={0} x2={inner} y1={y(share)} y2={y(share)} className="stroke-line" />
              <text x={-8} y={y(share) + 4} textAnchor="end" fontSize={13} className="num fill-muted">
                {100 * share} %
              </text>
            </g>
          ))}
          {points.map(({ value }) => (
            <text key={value} x={x(value)} y={height + 20} textAnchor="middle" fontSize={13} className="num fill-muted">
              {formatStrength(value)}
            </text>
          ))}
          {held && <line x1={x(held.value)} x2={x(held.value)} y1={0} y2={height} className="stroke-accent" strokeWidth={1.5} />}
          {series.map(({ name, colour, dash, shares }) => (
            <g key={name}>
              <path
                d={dosePath(
                  points.map(({ value }, i) => ({ value, share: shares[i] ?? null })),
                  scales,
                )}
                fill="none"
                stroke={colour}
                strokeWidth={2}
                strokeDasharray={dash}
                strokeLinejoin="round"
              />
              {points.map(({ value }, i) => {
                const share = shares[i];
                return share === null || share === undefined ? null : (
                  <circle
                    key={value}
                    cx={x(value)}
                    cy={y(share)}
                    r={i === chosen ? 5 : 3.5}
                    fill={colour}
                    stroke="var(--surface)"
                    strokeWidth={1.5}
                  />
                );
              })}
            </g>
          ))}
        </g>
      </svg>
    </div>
  );
}
