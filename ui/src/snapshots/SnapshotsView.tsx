/** Named states of conversations: save this one, go on from another, delete. */

import { t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body } from "../api/client";
import { SaveRequest } from "../api/limits";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { Field } from "../kit/Field";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice, NoRows, Table } from "../kit/kit";
import { goTo, useSession } from "../shell/session";
import { when } from "../videos/words";

export function SnapshotsView() {
  const queries = useQueryClient();
  const session = useSession();
  const [name, setName] = useState("");
  const list = useQuery({ queryKey: ["snapshots"], queryFn: () => body(api.GET("/api/snapshots")) });
  const again = () => queries.invalidateQueries({ queryKey: ["snapshots"] });
  const save = useMutation({
    mutationFn: () => api.POST("/api/snapshots", { body: { name, session_id: session, replace: false } }),
    onSuccess: () => setName(""),
    onSettled: again,
  });
  const load = useMutation({
    mutationFn: (one: string) =>
      body(api.POST("/api/snapshots/{name}/load", { params: { path: { name: one } }, body: { session_id: null } })),
    onSuccess: (loaded) => goTo(loaded.session_id),
  });
  return (
    <div className="stack">
      <h1>{t`Snapshots`}</h1>
      <Form className="row" error={save.error} onSubmit={save.mutate}>
        <Field
          bare
          of={SaveRequest}
          name="name"
          label={t`Name of the snapshot`}
          value={name}
          placeholder={t`Name, for instance tides`}
          onChange={setName}
        />
        <button type="submit" className="primary" disabled={!session || save.isPending}>{t`Save this conversation`}</button>
        {!session && <span className="quiet">{t`Say something first; then there is something to save.`}</span>}
        <FormError />
      </Form>
      {load.error && <ErrorNotice error={load.error} />}
      <p role="status" className="quiet">
        {load.data && t`The conversation goes on from ${load.variables}.`}
      </p>
      <NoRows of={list}>{t`No snapshot yet. One keeps where a conversation stands, so that you can go on from there.`}</NoRows>
      {(list.data?.length ?? 0) > 0 && (
        <Table name={t`Saved conversations`} heads={[t`Name`, t`Turns`, t`Saved`]} last={t`Actions`}>
          {list.data?.map((one) => (
            <tr key={one.id}>
              <th scope="row">{one.name}</th>
              <td>{one.turns}</td>
              <td className="when">{when(one.saved_at)}</td>
              <td>
                <span className="row ends">
                  <button type="button" onClick={() => load.mutate(one.name)} aria-label={t`Load ${one.name}`}>{t`Load`}</button>
                  <Delete name={one.name} />
                </span>
              </td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}

function Delete({ name }: { name: string }) {
  const queries = useQueryClient();
  return (
    <ConfirmedAction
      label={t`Delete`}
      about={name}
      title={t`Delete “${name}”?`}
      confirmLabel={t`Delete this snapshot`}
      action={() => api.DELETE("/api/snapshots/{name}", { params: { path: { name } } })}
      onSettled={() => queries.invalidateQueries({ queryKey: ["snapshots"] })}
    >
      <p>{t`The conversation itself stays. The snapshot cannot be taken back.`}</p>
    </ConfirmedAction>
  );
}
