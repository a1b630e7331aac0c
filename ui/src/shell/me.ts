/** Who has opened the page, and what they may do. */
import { useQuery } from "@tanstack/react-query";
import { api, body, type Me } from "../api/client";
import { linkUsed } from "./start";

export const useMe = () =>
  useQuery({
    queryKey: ["me"],
    queryFn: async () => {
      await linkUsed;
      return body(api.GET("/api/me"));
    },
  });

/** Inside the frame, which is shown to those alone who are logged in. */
export const usePrincipal = (): Me => useMe().data as Me;
