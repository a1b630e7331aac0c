/** Starts the page. */

import { i18n } from "@lingui/core";
import { I18nProvider, useLingui } from "@lingui/react";
import { I18nProvider as AriaProvider } from "react-aria-components";
import { showLanguage } from "./kit/language";
import "@fontsource-variable/inter/wght.css";
import "./kit/fonts/inter.css";
import "@fontsource-variable/jetbrains-mono/wght.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import type { Problem } from "./api/problem";
import { isServerThere } from "./api/reachable";
import { Boundary, Uncaught } from "./kit/Uncaught";
import { App } from "./shell/App";
import { meQuery } from "./shell/me";
import { router } from "./shell/router";
import "./kit/tokens.css";
import "./kit/base.css";
import "./shell/shell.css";
import "./videos/videos.css";

// A view whose file is gone: the server has a newer page. Once a minute at most, so that a server without it is no loop.
const RELOADED = "soundstage.reloaded";
addEventListener("vite:preloadError", async () => {
  // One that is away has no page at all: `fetchPart` waits for it.
  if (Date.now() - Number(sessionStorage.getItem(RELOADED)) < 60_000 || !(await isServerThere())) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
});

const queries = new QueryClient({
  defaultOptions: {
    queries: { staleTime: 2000, retry: (count, error) => !(error as unknown as Problem).status && count < 2 },
  },
});
const root = document.getElementById("root");

function Page() {
  const { i18n } = useLingui();
  return (
    <AriaProvider locale={[i18n.locales ?? i18n.locale].flat()[0]}>
      <QueryClientProvider client={queries}>
        <Boundary>
          <App />
        </Boundary>
        <Uncaught />
      </QueryClientProvider>
    </AriaProvider>
  );
}

// Side by side: who it is, the code of the view, and the words of the language. The view is not loaded yet: a router
// that is at it when it is mounted misses an address that changed meanwhile.
void queries.prefetchQuery(meQuery);
void router.preloadRoute({ to: router.latestLocation.pathname });
void showLanguage().then(() => {
  if (root)
    createRoot(root).render(
      <I18nProvider i18n={i18n}>
        <Page />
      </I18nProvider>,
    );
});
