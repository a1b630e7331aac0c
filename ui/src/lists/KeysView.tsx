/** Keys of programs: created with a role and an end, shown once, rotated and revoked. */

import { msg, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body, type Key } from "../api/client";
import { KeyRequest } from "../api/limits";
import { serverNow } from "../api/reachable";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { Field } from "../kit/Field";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice, State } from "../kit/kit";
import { Select } from "../kit/Select";
import { usePrincipal } from "../shell/me";
import { when } from "../videos/words";
import { List } from "./ListViews";
import { type Secret, useSecrets } from "./SecretOnce";
import "./lists.css";

const ROLES = ["viewer", "editor", "operator", "admin"];
const LIFETIMES = [
  ["7", msg`in a week`],
  ["90", msg`in 90 days`],
  ["365", msg`in a year`],
  ["", msg`never`],
] as const;
const DAY_MS = 86_400_000;

export function KeysView() {
  const { permissions } = usePrincipal();
  const queries = useQueryClient();
  const of = useQuery({ queryKey: ["keys"], queryFn: () => body(api.GET("/api/keys")) });
  const changed = () => queries.invalidateQueries({ queryKey: ["keys"] });
  const [secrets, show] = useSecrets();
  const above = (
    <>
      {permissions.includes("key:create") && (
        <NewKey
          onCreated={(name, value) => {
            show({ name, value });
            void changed();
          }}
        />
      )}
      {secrets}
    </>
  );
  return (
    <List
      name={t`API keys`}
      heads={[t`Name`, t`Role`, t`State`, t`Expires`, t`Last used`]}
      last={t`Actions`}
      of={of}
      above={above}
      empty={t`No API key yet.`}
    >
      {(one) => (
        <tr key={one.id}>
          <th scope="row">{one.name}</th>
          <td>{one.role}</td>
          <td>
            <State of={one.state} />
            {one.state === "superseded" && <p className="quiet">{t`It works until it ends: revoke it where it must not.`}</p>}
          </td>
          <td className="when">{one.expires_at ? when(one.expires_at) : t`never`}</td>
          <td className="when">{one.last_used_at ? when(one.last_used_at) : t`never`}</td>
          <td>{isUsed(one) && <Actions of={one} onChanged={changed} onSecret={show} />}</td>
        </tr>
      )}
    </List>
  );
}

function NewKey({ onCreated }: { onCreated: (name: string, key: string) => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [days, setDays] = useState("90");
  const create = useMutation({
    mutationFn: async () => {
      const expires_at = days ? new Date((await serverNow()) + Number(days) * DAY_MS).toISOString() : null;
      return body(api.POST("/api/keys", { body: { name: name.trim(), role, expires_at } }));
    },
    onSuccess: ({ key }) => {
      onCreated(name.trim(), key);
      setName("");
    },
  });
  return (
    <Form className="card row new-thing" error={create.error} onSubmit={create.mutate}>
      <Field className="wide" of={KeyRequest} name="name" label={t`What the new key is for`} value={name} onChange={setName} />
      <Select label={t`Role`} value={role} onChange={setRole} of={ROLES.map((one) => [one, one])} />
      <Select label={t`Ends`} value={days} onChange={setDays} of={LIFETIMES} />
      <button type="submit" className="primary" disabled={create.isPending}>{t`Create key`}</button>
      <FormError />
    </Form>
  );
}

interface ActionsProps {
  of: Key;
  onChanged: () => unknown;
  onSecret: (secret: Secret) => void;
}

function Actions({ of, onChanged, onSecret }: ActionsProps) {
  const { permissions } = usePrincipal();
  const path = { key_id: of.id };
  const rotate = useMutation({
    mutationFn: () => body(api.POST("/api/keys/{key_id}/rotate", { params: { path } })),
    onSuccess: ({ key }) => onSecret({ name: of.name, value: key }),
    onSettled: onChanged,
  });
  return (
    <div className="row ends">
      {of.state === "active" && permissions.includes("key:rotate") && (
        <button type="button" disabled={rotate.isPending} onClick={() => rotate.mutate()} aria-label={t`Rotate ${of.name}`}>
          {t`Rotate`}
        </button>
      )}
      {permissions.includes("key:revoke") && (
        <ConfirmedAction
          label={t`Revoke`}
          about={of.name}
          title={t`Revoke the key “${of.name}”?`}
          confirmLabel={t`Revoke this key`}
          action={() => api.DELETE("/api/keys/{key_id}", { params: { path } })}
          onSettled={onChanged}
        >
          <p>{t`Programs that use it are refused at once. It cannot be taken back.`}</p>
        </ConfirmedAction>
      )}
      {rotate.error && <ErrorNotice error={rotate.error} />}
    </div>
  );
}

/** One that was rotated goes on working for a while, so that programs can change over. */
const isUsed = ({ state }: Key) => state === "active" || state === "superseded";
