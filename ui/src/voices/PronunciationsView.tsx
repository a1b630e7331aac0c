/** How names are spoken in every film: a word, what is said instead, and a button to hear it. */
import { t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body } from "../api/client";
import { PronunciationChange } from "../api/limits";
import { usable, usePersonas } from "../create/usePersonas";
import { Field } from "../kit/Field";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice, NoRows, Table } from "../kit/kit";
import { Select } from "../kit/Select";
import { usePrincipal } from "../shell/me";
import { HearButton } from "./HearButton";
import "./voices.css";

const KEY = ["pronunciations"];

function useChange() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (pronunciation: Record<string, string | null>) =>
      body(api.PATCH("/api/pronunciations", { body: { pronunciation } })),
    onSuccess: (rows) => queries.setQueryData(KEY, rows),
  });
}

export function PronunciationsView() {
  const me = usePrincipal();
  const words = useQuery({ queryKey: KEY, queryFn: () => body(api.GET("/api/pronunciations")) });
  const change = useChange();
  const mayChange = me.permissions.includes("project:update");
  const mayHear = me.permissions.includes("persona:update");
  const presenters = usable(usePersonas().data);
  const [chosen, choose] = useState("");
  const presenter = presenters.find((one) => one.id === chosen) ?? presenters[0];
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Pronunciations`}</h1>
        {mayHear && presenters.length > 0 && (
          <Select
            className="row quiet"
            label={t`Spoken by`}
            value={presenter?.id ?? ""}
            onChange={choose}
            of={presenters.map((one) => [one.id, one.persona?.name ?? ""])}
          />
        )}
      </div>
      <p className="quiet">{t`They hold in every video, unless its project, presenter or scene has another. Write how a word sounds (“shi-vawn”), or its IPA between slashes (“/ʃɪˈvɔːn/”).`}</p>
      {mayChange && <NewWord />}
      {change.error && <ErrorNotice error={change.error} />}
      <NoRows of={words}>{t`No word has a pronunciation of its own yet.`}</NoRows>
      {words.data && words.data.length > 0 && (
        <Table name={t`Pronunciations`} heads={[t`Word`, t`Spoken as`]} last={t`Actions`}>
          {words.data.map((one) => (
            <tr key={one.word}>
              <th scope="row">{one.word}</th>
              <td>{one.spoken}</td>
              <td>
                <div className="row ends">
                  {mayHear && <HearButton presenter={presenter} text={one.word} about={one.word} />}
                  {mayChange && (
                    <button
                      type="button"
                      className="plain"
                      disabled={change.isPending}
                      aria-label={t`Remove ${one.word}`}
                      onClick={() => change.mutate({ [one.word]: null })}
                    >
                      {t`Remove`}
                    </button>
                  )}
                </div>
              </td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}

function NewWord() {
  const [word, setWord] = useState("");
  const [spoken, setSpoken] = useState("");
  const add = useChange();
  return (
    <Form
      className="card new-word"
      error={add.error}
      onSubmit={() => {
        const clear = () => {
          setWord("");
          setSpoken("");
        };
        add.mutate({ [word.trim()]: spoken.trim() }, { onSuccess: clear });
      }}
    >
      <Field
        of={PronunciationChange}
        name="pronunciation_key"
        path="pronunciation"
        label={t`Word`}
        patternWords={t`One word, without spaces.`}
        value={word}
        onChange={setWord}
      />
      <Field
        of={PronunciationChange}
        name="pronunciation_value"
        path={`pronunciation.${word.trim()}`}
        label={t`Spoken as`}
        patternWords={t`One line of text.`}
        value={spoken}
        onChange={setSpoken}
      />
      <button type="submit" className="primary" disabled={add.isPending}>{t`Save`}</button>
      <FormError />
    </Form>
  );
}
