/** All renders, the newest first; live events keep them fresh. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";

export const useRenders = () =>
  useQuery({
    queryKey: ["renders"],
    queryFn: () => body(api.GET("/api/renders", { params: { query: { limit: 60 } } })),
    refetchInterval: 15_000,
  });
