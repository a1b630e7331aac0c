/** The page: for those who are logged in its frame with the view at the address, for others the way in. */

import { t } from "@lingui/core/macro";
import { useLingui } from "@lingui/react";
import { RouterProvider } from "@tanstack/react-router";
import { Suspense } from "react";
import type { Problem } from "../api/problem";
import { ErrorNotice } from "../kit/kit";
import { lazyPart } from "../kit/part";
import { LiveProvider } from "../live/Live";
import { useMe } from "./me";
import { router } from "./router";

const Login = lazyPart(async () => ({ default: (await import("./Login")).Login }));

export function App() {
  useLingui();
  const me = useMe();
  if (me.error && (me.error as unknown as Problem).status === 401)
    return (
      <Suspense>
        <Login wasIn={me.data !== undefined} />
      </Suspense>
    );
  if (me.data)
    return (
      <LiveProvider principal={me.data.id}>
        <RouterProvider router={router} />
      </LiveProvider>
    );
  return <main className="login">{me.error ? <ErrorNotice error={me.error} /> : <p className="quiet">{t`One moment`}</p>}</main>;
}
