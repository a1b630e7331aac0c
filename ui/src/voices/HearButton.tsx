/** Speaks a sample by the server, in the voice that a film would have. */
import { t } from "@lingui/core/macro";
import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { api, body, type PersonaEntry } from "../api/client";
import { ErrorNotice } from "../kit/kit";

interface Props {
  presenter: PersonaEntry | undefined;
  /** What is spoken; the server's own sample without it. */
  text?: string;
  /** For those who cannot see the row of the button. */
  about: string;
  onHeard?: () => void;
}

export function HearButton({ presenter, text, about, onHeard }: Props) {
  const playing = useRef<HTMLAudioElement | null>(null);
  useEffect(() => () => playing.current?.pause(), []);
  const hear = useMutation({
    mutationFn: async () => {
      const persona = presenter?.persona;
      if (!persona) return;
      const { voice, style } = persona;
      const trial = await body(
        api.POST("/api/voices/trials", { body: { voice, language: style.language, ...(text && { text }) } }),
      );
      playing.current?.pause();
      // The page's policy lets sounds of the server and of the page play, and no data: address.
      const bytes = Uint8Array.from(atob(trial.wav_base64), (char) => char.charCodeAt(0));
      const url = URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
      const sound = new Audio(url);
      sound.addEventListener("emptied", () => URL.revokeObjectURL(url));
      sound.addEventListener("ended", () => URL.revokeObjectURL(url));
      playing.current = sound;
      await sound.play();
      onHeard?.();
    },
  });
  return (
    <>
      <button
        type="button"
        disabled={hear.isPending || !presenter?.persona}
        aria-label={t`Hear ${about}`}
        onClick={() => hear.mutate()}
      >
        {hear.isPending ? t`One moment` : t`Hear`}
      </button>
      {hear.error && <ErrorNotice error={hear.error} />}
    </>
  );
}
