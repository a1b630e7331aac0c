/** Faces to choose a presenter from: a row of them, or a button that opens the wall. */
import { t } from "@lingui/core/macro";
import { Suspense, useEffect, useId, useRef, useState } from "react";
import type { PersonaEntry } from "../api/client";
import { lazyPart, prefetch } from "../kit/part";
import { faceUrl, isTalkOnly, usable, usePersonas } from "./usePersonas";

const RETRY_MS = 3000;
const MAX_RETRIES = 20;

/** A face that was never seen is drawn first, which takes seconds: it is fetched again until it is there. */
export function Face({ entry, width }: { entry: PersonaEntry | undefined; width: number }) {
  const url = faceUrl(entry, width);
  const [retries, setRetries] = useState(0);
  if (!url) return <span className="face" />;
  return (
    <img
      key={retries}
      className="face"
      src={url}
      alt=""
      width={width}
      height={width}
      loading="lazy"
      decoding="async"
      onError={() => retries < MAX_RETRIES && setTimeout(() => setRetries(retries + 1), RETRY_MS)}
    />
  );
}

/** Radio buttons with pictures: arrow keys go from face to face. */
export function Faces({ value, onChange, legend }: { value: string; onChange: (id: string) => void; legend: string }) {
  const personas = usable(usePersonas().data).filter((one) => !isTalkOnly(one));
  const name = useId();
  const row = useRef<HTMLDivElement>(null);
  const isThere = personas.length > 0;
  // Not `scrollIntoView`: it would scroll the page, too.
  // biome-ignore lint/correctness/useExhaustiveDependencies: whoever chooses sees the face
  useEffect(() => {
    const chosen = row.current?.querySelector(":checked")?.parentElement;
    if (row.current && chosen) row.current.scrollLeft = chosen.offsetLeft - (row.current.clientWidth - chosen.offsetWidth) / 2;
  }, [isThere]);
  return (
    <fieldset className="faces">
      <legend>{legend}</legend>
      <div ref={row}>
        {personas.map((one) => (
          <label key={one.id}>
            <input
              type="radio"
              className="visually-hidden"
              name={name}
              checked={one.id === value}
              onChange={() => onChange(one.id)}
            />
            <Face entry={one} width={96} />
            <span>{one.persona?.name}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

const load = () => import("./PresenterDialog");
export const PresenterDialog = lazyPart(async () => ({ default: (await load()).PresenterDialog }));

interface ButtonProps {
  /** Null: the presenter of the project. */
  value: string | null | undefined;
  fallback: string;
  label: string;
  /** Whether those are offered, too, of whom no video is rendered. */
  talks?: boolean;
  /** Ids of those who are not offered. */
  without?: readonly string[];
  onChange: (id: string) => void;
}

/** Shows who is chosen, and opens the wall of faces. */
export function PresenterButton({ value, fallback, label, talks, without, onChange }: ButtonProps) {
  const [open, setOpen] = useState(false);
  const personas = usePersonas();
  const shown = personas.data?.find((one) => one.id === (value ?? fallback));
  const chosen = shown?.persona?.name ?? (personas.isPending ? "…" : (value ?? fallback));
  return (
    <>
      <button
        type="button"
        className="presenter"
        aria-label={t`${label}: ${chosen}. Choose another`}
        aria-haspopup="dialog"
        {...prefetch(load)}
        onClick={() => setOpen(true)}
      >
        <Face entry={shown} width={40} />
        {chosen}
      </button>
      {open && (
        <Suspense>
          <PresenterDialog
            title={label}
            value={value ?? fallback}
            talks={talks}
            without={without}
            onChange={onChange}
            onClose={() => setOpen(false)}
          />
        </Suspense>
      )}
    </>
  );
}
