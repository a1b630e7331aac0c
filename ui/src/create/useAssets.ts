/** Uploaded files of some kinds, and the upload of another one. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type Asset, api, body } from "../api/client";

export type MediaKind = "image" | "video" | "audio";

const MAX_SHOWN = 200;
export const ACCEPTED = {
  image: "image/png,image/jpeg,image/webp",
  video: "video/mp4,video/webm,video/quicktime",
  audio: "audio/*",
} as const;

/** The newest ones. */
export const useAssets = (kinds: readonly MediaKind[]) =>
  useQuery({
    queryKey: ["assets", ...kinds],
    queryFn: () => body(api.GET("/api/assets", { params: { query: { limit: MAX_SHOWN, kind: [...kinds] } } })),
  });

export function useUpload(onDone: (asset: Asset) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (file: File): Promise<Asset> => {
      const form = new FormData();
      form.append("file", file);
      return body(api.POST("/api/assets", { body: form as never }));
    },
    onSuccess: (asset) => {
      void queries.invalidateQueries({ queryKey: ["assets"] });
      onDone(asset);
    },
  });
}
