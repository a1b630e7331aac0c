/** Who has opened the page, and what they may do. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";

export const useMe = () => useQuery({ queryKey: ["me"], queryFn: () => body(api.GET("/api/me")) });
