/** A voice that a speech service of the operator's clones from a recording, for a new presenter. */
import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useRef } from "react";
import { api, body, type Me } from "../api/client";
import { randomHex } from "../kit/randomHex";

interface Sample {
  name: string;
  /** The words of the recording. */
  said: string;
  /** Id of the asset. */
  recording: string;
  service: string;
  consent: { person: string; purpose: string; granted_at: string; evidence: string | null };
}

const LONGEST_NAME = 32;

/** Names of voices are of ASCII letters, and taken once. */
function nameOf(presenter: string): string {
  const plain = presenter
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, LONGEST_NAME);
  return `${plain || "voice"}-${randomHex(3)}`;
}

export const removeVoice = (id: string) => api.DELETE("/api/voices/{voice}", { params: { path: { voice: id } } });

/** `services` is empty where none is set up, or for those who may clone none. */
export function useOwnVoice(me: Me) {
  const may = ["voice:read", "voice:create"].every((one) => me.permissions.includes(one));
  const services = useQuery({
    queryKey: ["speech-services"],
    queryFn: () => body(api.GET("/api/speech-services")),
    enabled: may,
    staleTime: 60_000,
  });
  /** Cloned already, for the next try; removed when nobody takes it. */
  const cloned = useRef<{ recording: string; service: string; id: string; voice: unknown } | null>(null);
  const drop = useCallback(() => {
    if (cloned.current) void removeVoice(cloned.current.id).catch(() => undefined);
    cloned.current = null;
  }, []);
  useEffect(() => drop, [drop]);
  return {
    services: (services.data ?? []).map((one) => one.address),
    /** Returns what a presenter takes as `voice`. */
    async clone({ name, said, recording, service, consent }: Sample): Promise<unknown> {
      if (cloned.current?.recording !== recording || cloned.current.service !== service) {
        drop();
        const { id, voice } = await body(
          api.POST("/api/voices", { body: { name: nameOf(name), said, asset: recording, service, consent } }),
        );
        cloned.current = { recording, service, id, voice };
      }
      return cloned.current.voice;
    },
    /** The presenter has the voice. */
    adopt: () => {
      cloned.current = null;
    },
  };
}
