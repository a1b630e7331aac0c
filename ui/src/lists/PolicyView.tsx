/** “May this key do that?”, asked of the policy; nothing is done. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, plural, t } from "@lingui/core/macro";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api, body, type PolicyAction, type PolicyAnswer } from "../api/client";
import { PolicyQuestion } from "../api/limits";
import { Field } from "../kit/Field";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice, State } from "../kit/kit";
import { Select } from "../kit/Select";
import { usePrincipal } from "../shell/me";
import "./lists.css";

const VERDICTS: Record<PolicyAnswer["verdict"], [state: string, words: MessageDescriptor]> = {
  allow: ["approved", msg`allowed`],
  approve: ["pending", msg`needs approval`],
  deny: ["denied", msg`not allowed`],
};

export function PolicyView() {
  const me = usePrincipal();
  const mayReadKeys = me.permissions.includes("key:read");
  const keys = useQuery({ queryKey: ["keys"], queryFn: () => body(api.GET("/api/keys")), enabled: mayReadKeys });
  const actions = useQuery({
    queryKey: ["policy-actions"],
    queryFn: () => body(api.GET("/api/policy/actions")),
    staleTime: Infinity,
  });
  const [key, setKey] = useState("");
  const [name, setName] = useState("");
  const [tenant, setTenant] = useState("");
  const [values, setValues] = useState<Record<string, string>>({});
  const list = useId();
  const action = actions.data?.find((one) => one.name === name.trim());
  const test = useMutation({
    mutationFn: () =>
      body(
        api.POST("/api/policy/test", {
          body: {
            key: key || null,
            action: name.trim(),
            tenant: tenant.trim() || null,
            arguments: Object.fromEntries(
              (action?.arguments ?? []).flatMap((one) => (values[one] ? [[one, argument(values[one])]] : [])),
            ),
          },
        }),
      ),
  });
  return (
    <div className="stack">
      <h1>{t`Policy test`}</h1>
      <p className="quiet">{t`Asks the rules what they would decide. Nothing is done; the question is kept in the audit log.`}</p>
      {(actions.error ?? keys.error) && <ErrorNotice error={actions.error ?? keys.error} />}
      <Form className="card stack new-thing" error={test.error} onSubmit={test.mutate}>
        <div className="row">
          <Select
            className="field wide"
            label={t`May the key`}
            value={key}
            onChange={setKey}
            none={t`${me.name} (you)`}
            of={keys.data?.map((one) => [one.id, `${one.name} · ${one.role} · ${one.tenant}`]) ?? []}
          />
          <Field className="wide" of={PolicyQuestion} name="action" label={t`do`} list={list} value={name} onChange={setName} />
          <Field
            of={PolicyQuestion}
            name="tenant"
            label={t`to what belongs to the tenant`}
            patternWords={t`Small letters and digits, with hyphens between them.`}
            placeholder={t`its own`}
            value={tenant}
            onChange={setTenant}
          />
          <button type="submit" className="primary" disabled={test.isPending}>{t`Ask`}</button>
        </div>
        <datalist id={list}>
          {actions.data?.map((one) => (
            <option key={`${one.kind} ${one.name}`} value={one.name}>
              {one.about}
            </option>
          ))}
        </datalist>
        {action && <About of={action} />}
        {action && (action.arguments ?? []).length > 0 && (
          <fieldset className="row">
            <legend className="quiet">{t`with these arguments, which its rule looks at`}</legend>
            {action.arguments?.map((one) => (
              <label key={one} className="field">
                <code>{one}</code>
                <input value={values[one] ?? ""} onChange={({ target }) => setValues({ ...values, [one]: target.value })} />
              </label>
            ))}
          </fieldset>
        )}
        <FormError />
      </Form>
      <div aria-live="polite">{test.data && <Answer of={test.data} />}</div>
    </div>
  );
}

function About({ of }: { of: PolicyAction }) {
  const kinds = { permission: t`permission`, tool: t`tool of the agent`, route: t`route` };
  return (
    <p className="quiet">
      {[kinds[of.kind], of.kind === "permission" ? "" : of.permission, of.effect, of.about].filter(Boolean).join(" · ")}
    </p>
  );
}

function Answer({ of }: { of: PolicyAnswer }) {
  const [state, words] = VERDICTS[of.verdict];
  const { subject } = of;
  return (
    <section className="card" aria-labelledby="policy-answer">
      <div className="row apart">
        <h2 id="policy-answer">
          {subject.name} · <code>{of.permission}</code>
        </h2>
        <State of={state}>{i18n.t(words)}</State>
      </div>
      {of.approvers > 0 && (
        <p>{t`${plural(of.approvers, { one: "# person has", other: "# people have" })} to agree before it happens.`}</p>
      )}
      {of.reasons.length > 0 && (
        <div>
          <h3>{t`Why`}</h3>
          <ul className="bullets">
            {of.reasons.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        </div>
      )}
      <div>
        <h3>{t`What the rules looked at`}</h3>
        <dl className="rules">
          <dt>{t`role`}</dt>
          <dd>
            {subject.role}
            {": "}
            {of.grants.length === 0
              ? t`nothing in it gives this`
              : of.grants.map((one) => t`${one.pattern} of ${one.role}`).join(", ")}
          </dd>
          <dt>{t`scopes`}</dt>
          <dd>{of.scopes == null ? t`none: they do not narrow the role` : of.scopes.join(", ") || t`none of them covers it`}</dd>
          <dt>{t`key`}</dt>
          <dd>{subject.state}</dd>
          <dt>{t`tenant`}</dt>
          <dd>
            {subject.tenant}
            {of.system_scope && ` · ${t`this is of the whole installation, which only the first tenant runs`}`}
          </dd>
          {of.rule && (
            <>
              <dt>{t`rule of the tool`}</dt>
              <dd>
                <pre>{JSON.stringify(of.rule, null, 1)}</pre>
              </dd>
            </>
          )}
          <dt>{t`revision`}</dt>
          <dd className="mono">{of.revision}</dd>
        </dl>
      </div>
    </section>
  );
}

/** A number, true or false where it reads as one: rules compare them as such. */
function argument(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
