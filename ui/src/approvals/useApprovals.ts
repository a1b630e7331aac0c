/** All approvals, the newest first; live events keep them fresh. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";

export const useApprovals = (enabled = true) =>
  useQuery({
    queryKey: ["approvals"],
    queryFn: () => body(api.GET("/api/approvals")),
    refetchInterval: 20_000,
    enabled,
  });
