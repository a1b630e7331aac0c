/** From a document to a project: choose it, see the scenes that it becomes, make the project. */

import { plural, t } from "@lingui/core/macro";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, body } from "../api/client";
import { FileDrop } from "../kit/FileDrop";
import { FileInput } from "../kit/FileInput";
import { ErrorNotice } from "../kit/kit";
import { LimitedInput } from "../kit/LimitedInput";
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
      {!plan && <Chooser busy={outline.isPending} onChoose={open} />}
      {outline.error && <ErrorNotice error={outline.error} />}
      {plan && source && (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            make.mutate(source);
          }}
        >
          <label className="field">
            <span>{t`Title of the project`}</span>
            <LimitedInput value={title} max={200} required onChange={setTitle} />
          </label>
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
          {make.error && <ErrorNotice error={make.error} />}
          <div className="row ends">
            <button type="button" onClick={() => outline.reset()}>{t`Another document`}</button>
            <button type="submit" className="primary" disabled={make.isPending || plan.scenes.length === 0}>
              {t`Make the project`}
            </button>
          </div>
        </form>
      )}
      {!plan && (
        <div className="row ends">
          <button type="button" onClick={onClose}>{t`Cancel`}</button>
        </div>
      )}
    </Modal>
  );
}

function Chooser({ busy, onChoose }: { busy: boolean; onChoose: (source: Source) => void }) {
  const [url, setUrl] = useState("");
  const [text, setText] = useState("");
  return (
    <div className="stack">
      <FileDrop label={t`Drop a document here`} onFile={(file) => onChoose({ file })}>
        <FileInput label={t`Choose a file`} isButton accept={KINDS} disabled={busy} onFile={(file) => onChoose({ file })} />
        <p className="quiet" role="status">
          {busy ? t`Reading it` : t`or drop it here: PowerPoint, Word, Markdown, text or HTML. Speaker notes become the script.`}
        </p>
      </FileDrop>
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          onChoose({ url: url.trim() });
        }}
      >
        <input
          type="url"
          aria-label={t`Address of a page or file`}
          placeholder="https://…"
          value={url}
          required
          onChange={(event) => setUrl(event.target.value)}
        />
        <button type="submit" disabled={busy}>{t`Read the page`}</button>
      </form>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          onChoose({ text });
        }}
      >
        <textarea
          aria-label={t`Text or Markdown`}
          placeholder={t`Or paste a text. A heading of Markdown begins a new scene.`}
          rows={5}
          value={text}
          required
          onChange={(event) => setText(event.target.value)}
        />
        <div className="row ends">
          <button type="submit" disabled={busy || !text.trim()}>{t`Use this text`}</button>
        </div>
      </form>
    </div>
  );
}
