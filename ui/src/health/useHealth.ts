/** The health of the installation; the server checks at most once in ten seconds. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";

export const useHealth = (enabled = true) =>
  useQuery({
    queryKey: ["health"],
    queryFn: () => body(api.GET("/api/health/installation")),
    refetchInterval: 30_000,
    enabled,
  });
