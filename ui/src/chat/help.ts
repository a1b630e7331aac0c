/** What can be asked for, with sentences in the language of the page. */
import { i18n } from "@lingui/core";
import { queryOptions } from "@tanstack/react-query";
import { api, body } from "../api/client";

export const helpQuery = () =>
  queryOptions({
    queryKey: ["help", i18n.locale],
    queryFn: () => body(api.GET("/api/chat/help", { params: { query: { language: i18n.locale } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });
