/** From a document to a project: choose it, see the scenes that it becomes, make the project. */

import { plural, t } from "@lingui/core/macro";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, body } from "../api/client";
import { postImports } from "../api/limits";
import { Field } from "../kit/Field";
import { FileDrop } from "../kit/FileDrop";
import { FileInput } from "../kit/FileInput";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice } from "../kit/kit";
import { Modal } from "../kit/Modal";
import { duration } from "../videos/words";
import { Faces } from "./PresenterPicker";

const KINDS = ".md,.markdown,.txt,.html,.htm,.docx,.pptx";

/** `file` is sent in a form; `url` and `text` in JSON. */
type Source = { file: File } | { url: string } | { text: string };

interface Options {
  title?: string;
  persona?: string;
}

function bodyOf(source: Source, options: Options) {
  if (!("file" in source)) return { body: { ...source, ...options } as never };
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) if (value) form.append(name, value);
  form.append("file", source.file);
  return { body: form as never };
}

const planned = (source: Source) => body(api.POST("/api/imports/plan", bodyOf(source, {})));
const imported = (source: Source, options: Options) => body(api.POST("/api/imports", bodyOf(source, options)));

export function ImportDialog({ persona, onClose }: { persona: string; onClose: () => void }) {
  const [source, choose] = useState<Source | null>(null);
  const [chosen, setChosen] = useState(persona);
  const [title, setTitle] = useState("");
  const queries = useQueryClient();
  const navigate = useNavigate();
  const outline = useMutation({
    mutationFn: (one: Source) => planned(one),
    onSuccess: (found) => setTitle(found.title),
  });
  const make = useMutation({
    mutationFn: (one: Source) => imported(one, { persona: chosen, ...(title.trim() && { title: title.trim() }) }),
    onSuccess: ({ project }) => {
      void queries.invalidateQueries({ queryKey: ["projects"] });
      onClose();
      void navigate({ to: "/studio/p/$slug", params: { slug: project.slug } });
    },
  });
  const open = (one: Source) => {
    choose(one);
    outline.mutate(one);
  };
  const plan = outline.data;
  return (
    <Modal title={t`Import a document`} size="wide" onClose={onClose}>
      {!plan && <Chooser busy={outline.isPending} error={outline.error} source={source} onChoose={open} />}
      {plan && source && (
        <Form className="stack" error={make.error} onSubmit={() => make.mutate(source)}>
          <Field of={postImports} name="title" label={t`Title of the project`} value={title} onChange={setTitle} />
          <Faces value={chosen} onChange={setChosen} legend={t`Presenter`} />
          <p className="quiet" role="status">
            {t`${plural(plan.scenes.length, { one: "# scene", other: "# scenes" })} · about ${duration(plan.seconds)}`}
            {plan.pictures > 0 && ` · ${plural(plan.pictures, { one: "# picture", other: "# pictures" })}`}
          </p>
          {plan.notices.length > 0 && (
            <ul className="notices" aria-label={t`Left out`}>
              {plan.notices.map((one) => (
                <li key={one}>{one}</li>
              ))}
            </ul>
          )}
          <ol className="outline" aria-label={t`Scenes`}>
            {plan.scenes.map((scene, at) => (
              <li key={at}>
                <strong>{scene.title || t`Scene ${at + 1}`}</strong>
                <p>{scene.script || t`No words: write them in the editor.`}</p>
              </li>
            ))}
          </ol>
          <FormError />
          <div className="row ends">
            <button type="button" onClick={() => outline.reset()}>{t`Another document`}</button>
            <button type="submit" className="primary" disabled={make.isPending || plan.scenes.length === 0}>
              {t`Make the project`}
            </button>
          </div>
        </Form>
      )}
      {!plan && (
        <div className="row ends">
          <button type="button" onClick={onClose}>{t`Cancel`}</button>
        </div>
      )}
    </Modal>
  );
}

interface ChooserProps {
  busy: boolean;
  /** Why `source` could not be read. */
  error: Error | null;
  source: Source | null;
  onChoose: (source: Source) => void;
}

function Chooser({ busy, error, source, onChoose }: ChooserProps) {
  const isOf = (kind: "file" | "url" | "text") => source !== null && kind in source;
  const [url, setUrl] = useState("");
  const [text, setText] = useState("");
  return (
    <div className="stack">
      <FileDrop label={t`Drop a document here`} onFile={(file) => onChoose({ file })}>
        <FileInput label={t`Choose a file`} accept={KINDS} disabled={busy} onFile={(file) => onChoose({ file })} />
        <p className="quiet" role="status">
          {busy ? (
            t`Reading it`
          ) : (
            <>
              <span className="for-mouse">{t`or drop it here:`} </span>
              {t`PowerPoint, Word, Markdown, text or HTML. Speaker notes become the script.`}
            </>
          )}
        </p>
      </FileDrop>
      {isOf("file") && error && <ErrorNotice error={error} />}
      <Form className="row" error={isOf("url") ? error : null} onSubmit={() => onChoose({ url: url.trim() })}>
        <Field
          bare
          type="url"
          of={postImports}
          name="url"
          label={t`Address of a page or file`}
          placeholder="https://…"
          required
          value={url}
          onChange={setUrl}
        />
        <button type="submit" disabled={busy}>{t`Read the page`}</button>
        <FormError />
      </Form>
      <Form className="stack" error={isOf("text") ? error : null} onSubmit={() => onChoose({ text })}>
        <Field
          bare
          of={postImports}
          name="text"
          label={t`Text or Markdown`}
          placeholder={t`Or paste a text. A heading of Markdown begins a new scene.`}
          rows={5}
          value={text}
          onChange={setText}
        />
        <FormError />
        <div className="row ends">
          <button type="submit" disabled={busy || !text.trim()}>{t`Use this text`}</button>
        </div>
      </Form>
    </div>
  );
}
