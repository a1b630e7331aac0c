/** Uploaded files of some kinds, and the upload of another one. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { type Asset, api, body } from "../api/client";
import { fetchPart } from "../kit/part";
import type { UploadProgress } from "./upload";

export type MediaKind = "image" | "video" | "audio";

const MAX_SHOWN = 200;
export const ACCEPTED = {
  image: "image/png,image/jpeg,image/webp",
  video: "video/mp4,video/webm,video/quicktime",
  audio: "audio/*",
  /** Browsers know no type of VRM files. */
  avatar: ".vrm,.glb",
} as const;

/** The newest ones. */
export const useAssets = (kinds: readonly MediaKind[]) =>
  useQuery({
    queryKey: ["assets", ...kinds],
    queryFn: () => body(api.GET("/api/assets", { params: { query: { limit: MAX_SHOWN, kind: [...kinds] } } })),
  });

const NOTHING_SENT: UploadProgress = { sentBytes: 0, waiting: false };

/** Whoever leaves the dialog wants nothing kept: the upload ends with it. */
export function useUpload(onDone: (asset: Asset) => void) {
  const queries = useQueryClient();
  const [progress, setProgress] = useState(NOTHING_SENT);
  const leaving = useRef<AbortController>(null);
  useEffect(() => () => leaving.current?.abort(), []);
  const sending = useMutation({
    mutationFn: async (file: File): Promise<Asset> => {
      const controller = new AbortController();
      leaving.current = controller;
      setProgress(NOTHING_SENT);
      return (await fetchPart(() => import("./upload"))).upload(file, controller.signal, setProgress);
    },
    onSuccess: (asset) => {
      void queries.invalidateQueries({ queryKey: ["assets"] });
      if (!leaving.current?.signal.aborted) onDone(asset);
    },
  });
  return { ...sending, progress };
}
