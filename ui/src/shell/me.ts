/** Who has opened the page, and what they may do. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";
import { linkUsed } from "./start";

export const useMe = () =>
  useQuery({
    queryKey: ["me"],
    queryFn: async () => {
      await linkUsed;
      return body(api.GET("/api/me"));
    },
  });
