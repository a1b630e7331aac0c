/** The presenters that can speak, by id. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, body, type PersonaEntry } from "../api/client";

export const PERSONAS = queryOptions({
  queryKey: ["personas"],
  queryFn: () => body(api.GET("/api/personas")),
  staleTime: 60_000,
});

export const usePersonas = () => useQuery(PERSONAS);

/** The name of a presenter by id; the id of one that is gone. */
export function usePresenterNames() {
  const personas = usePersonas().data;
  return (id: string) => personas?.find((one) => one.id === id)?.persona?.name ?? id;
}

export const usable = (entries: readonly PersonaEntry[] | undefined) => (entries ?? []).filter((one) => one.persona);

/** Who was talked to last, as the browser stores it. */
export const PRESENTER = "soundstage.presenter";

/** A VRM avatar is drawn by the page in conversations; no video is rendered of it. */
export const isTalkOnly = (entry: PersonaEntry | undefined) => entry?.persona?.face.kind === "vrm";

const WIDTHS = [160, 320, 640];

/** The address of a face about `width` CSS pixels wide. */
export function faceUrl(entry: PersonaEntry | undefined, width: number): string | undefined {
  const face = entry?.persona?.face;
  if (face?.kind === "vrm" && !face.picture) return undefined;
  const dense = width * Math.min(2, devicePixelRatio);
  return entry?.imageUrl ? `${entry.imageUrl}&width=${WIDTHS.find((one) => one >= dense) ?? WIDTHS.at(-1)}` : undefined;
}

/** Of the presenters that come with Soundstage: words of others are theirs, in any language. */
const ROLES: Record<string, MessageDescriptor> = {
  "amina/Analyst": msg({ message: "Analyst", context: "role of a presenter" }),
  "finn/Fox": msg({ message: "Fox", context: "role of a presenter" }),
  "harjit/Engineer": msg({ message: "Engineer", context: "role of a presenter" }),
  "leo/Student": msg({ message: "Student", context: "role of a presenter" }),
  "mei/Doctor": msg({ message: "Doctor", context: "role of a presenter" }),
  "milo/Explainer": msg({ message: "Explainer", context: "role of a presenter" }),
  "nova/Presenter": msg({ message: "Presenter", context: "role of a presenter" }),
  "vera/Newsreader": msg({ message: "Newsreader", context: "role of a presenter" }),
  "walter/Storyteller": msg({ message: "Storyteller", context: "role of a presenter" }),
  "zuri/Host": msg({ message: "Host", context: "role of a presenter" }),
};

/** The line below the name of a presenter. */
export function roleWords({ id, origin, persona }: PersonaEntry): string {
  const role = origin === "shipped" ? ROLES[`${id}/${persona?.title}`] : undefined;
  return role ? i18n.t(role) : (persona?.title ?? "");
}

/** Of flite's voices: https://github.com/festvox/flite. */
const FLITE_VOICES: Record<string, MessageDescriptor> = {
  slt: msg`woman`,
  rms: msg`man`,
  awb: msg`man, Scottish`,
};

/** “woman · American English”: whose voice is heard, and in which language. */
export function voiceWords({ persona }: PersonaEntry): string {
  if (!persona) return "";
  const { voice } = persona;
  return [who(voice), languageWords(persona.style.language)].filter(Boolean).join(" · ");
}

function who(voice: NonNullable<PersonaEntry["persona"]>["voice"]): string {
  if ("cloned" in voice && voice.cloned) return t`a person’s own, cloned`;
  if (voice.kind === "flite") return i18n.t(FLITE_VOICES[voice.voice] ?? { id: voice.voice });
  if (voice.kind === "espeak") return voice.variant?.startsWith("f") ? t`woman, synthetic` : t`man, synthetic`;
  // Of the file's name, such as en_US-amy-medium.
  if (voice.kind === "piper") return voice.voice.split("-")[1] ?? voice.voice;
  return voice.kind === "openai" ? voice.voice : voice.voice_id;
}

function languageWords(tag: string): string {
  try {
    return new Intl.DisplayNames(i18n.locale || "en", { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}
