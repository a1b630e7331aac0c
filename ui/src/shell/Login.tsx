/** Where the server wants a key: it is changed for a cookie that no script can read. */

import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import { LoginRequest } from "../api/limits";
import { Field } from "../kit/Field";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice } from "../kit/kit";
import { linkRefusal } from "./start";

/** `wasIn`: the page was open, and the server knows its key or login no more. */
export function Login({ wasIn }: { wasIn: boolean }) {
  const queries = useQueryClient();
  const [key, setKey] = useState("");
  const refusal = linkRefusal();
  const login = useMutation({
    mutationFn: () => api.POST("/api/login", { body: { key } }),
    onSuccess: () => queries.resetQueries(),
  });
  return (
    <main className="login">
      <Form className="card" error={login.error} onSubmit={login.mutate}>
        <h1 className="row">
          <img src="/page/icon.svg" alt="" width={32} height={32} /> {t`Log in to Soundstage`}
        </h1>
        <p className="quiet">{t`Whoever runs Soundstage here gives you a key.`}</p>
        {refusal && <ErrorNotice error={refusal} />}
        {wasIn && (
          <p className="problem" role="alert">
            <strong>{t`Your key or login has ended or was revoked.`}</strong>{" "}
            {t`What you typed and was not saved is kept in this browser: log in with a key that may change the project, and it is saved.`}
          </p>
        )}
        <Field
          of={LoginRequest}
          name="key"
          id="key-value"
          label={t`API key`}
          type="password"
          autoComplete="off"
          value={key}
          onChange={setKey}
        />
        <FormError />
        <div className="row">
          <button className="primary" type="submit" disabled={login.isPending}>{t`Use this key`}</button>
        </div>
        <details className="quiet">
          <summary>{t`I run this server`}</summary>
          <Trans>
            On its machine, <code>soundstage open</code> prints a link that logs you in, and <code>soundstage keys create</code>{" "}
            makes a key for somebody else.
          </Trans>
        </details>
      </Form>
    </main>
  );
}
