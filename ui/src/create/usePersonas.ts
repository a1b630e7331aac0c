/** The presenters that can speak, by id. */
import { useQuery } from "@tanstack/react-query";
import { api, body, type PersonaEntry } from "../api/client";

export const usePersonas = () =>
  useQuery({ queryKey: ["personas"], queryFn: () => body(api.GET("/api/personas")), staleTime: 60_000 });

export const usable = (entries: readonly PersonaEntry[] | undefined) => (entries ?? []).filter((one) => one.persona);

const WIDTHS = [160, 320, 640];

/** The address of a face about `width` CSS pixels wide. */
export function faceUrl(entry: PersonaEntry | undefined, width: number): string | undefined {
  const dense = width * Math.min(2, devicePixelRatio);
  return entry?.imageUrl ? `${entry.imageUrl}&width=${WIDTHS.find((one) => one >= dense) ?? WIDTHS.at(-1)}` : undefined;
}

/** “flite slt”, in words for people. */
export function voiceWords(entry: PersonaEntry): string {
  const voice = entry.persona?.voice as { engine?: string; kind?: string; name?: string; voice?: string } | undefined;
  return [voice?.engine ?? voice?.kind, voice?.name ?? voice?.voice].filter(Boolean).join(" · ");
}
