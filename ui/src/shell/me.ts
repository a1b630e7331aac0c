/** Who has opened the page, and what they may do. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, body, type Me } from "../api/client";
import { linkUsed } from "./start";

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async () => {
    await linkUsed;
    return body(api.GET("/api/me"));
  },
});

export const useMe = () => useQuery(meQuery);

/** Inside the frame, which is shown to those alone who are logged in. */
export const usePrincipal = (): Me => useMe().data as Me;
