/** The settings of the server: what is in force, where it comes from, and the line that changes it. */
import { i18n } from "@lingui/core";
import { msg, plural, t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, body, type Setting, type SettingSection } from "../api/client";
import { CopyButton } from "../kit/CopyButton";
import { Empty, ErrorNotice } from "../kit/kit";
import { Marked } from "../kit/Marked";
import { usePrincipal } from "../shell/me";
import { fileLines, hasVariable, shownText, variableLine } from "./lines";
import "./settings.css";

const SOURCES = {
  default: msg`default`,
  file: msg`from the file`,
  environment: msg`from the environment`,
  start: msg`chosen at the start`,
};

export function SettingsView() {
  const me = usePrincipal();
  const { q = "" } = useSearch({ from: "/run/settings" });
  const navigate = useNavigate();
  const [onlyChanged, setOnlyChanged] = useState(false);
  const found = useQuery({ queryKey: ["settings"], queryFn: () => body(api.GET("/api/settings")) });
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const sections = (found.data?.sections ?? [])
    .map((one) => ({ ...one, settings: one.settings.filter((setting) => fits(setting, words, onlyChanged)) }))
    .filter((one) => one.settings.length > 0);
  const count = sections.reduce((sum, one) => sum + one.settings.length, 0);
  const isSearched = words.length > 0 || onlyChanged;
  return (
    <div className="stack">
      <h1>{t`Server settings`}</h1>
      {found.error && <ErrorNotice error={found.error} />}
      {found.data && (
        <>
          <div className="card">
            <p>{t`The server reads its settings when it starts. Change them in the settings file or, with priority, as environment variables; then start it again.`}</p>
            {found.data.file && (
              <div className="row">
                <code className="copyable">{found.data.file}</code>
                <CopyButton text={found.data.file} about={t`the path of the settings file`} />
                {!found.data.file_exists && <span className="chip">{t`not there yet`}</span>}
              </div>
            )}
            <p className="quiet">
              <Marked text={t`\`soundstage config check\` explains every bad value; then restart \`soundstage up\`.`} />
            </p>
            <p className="row">
              {me.permissions.includes("system:read") && <Link to="/run/doctor">{t`Doctor`}</Link>}
              {me.permissions.includes("project:read") && (
                <Link to="/pronunciations">{t`Pronunciations of the installation`}</Link>
              )}
            </p>
          </div>
          <search className="row">
            <input
              type="search"
              className="search"
              aria-label={t`Find a setting`}
              placeholder={t`Find a setting`}
              value={q}
              onChange={({ target }) =>
                void navigate({ to: "/run/settings", search: target.value ? { q: target.value } : {}, replace: true })
              }
            />
            <label className="row">
              <input type="checkbox" checked={onlyChanged} onChange={({ target }) => setOnlyChanged(target.checked)} />
              {t`Only what is not the default`}
            </label>
            <span className="quiet" role="status">
              {t`${plural(count, { one: "# setting", other: "# settings" })}`}
            </span>
          </search>
          {sections.length === 0 && <Empty>{t`No setting is like that.`}</Empty>}
          {sections.map((one) => (
            <Section key={`${one.name} ${isSearched}`} of={one} searched={isSearched} />
          ))}
        </>
      )}
      {!found.data && !found.error && <p className="empty">{t`One moment`}</p>}
    </div>
  );
}

const fits = (one: Setting, words: readonly string[], onlyChanged: boolean) => {
  const text = `${one.name} ${one.variable} ${one.meaning} ${shownText(one.value)}`.toLowerCase();
  return words.every((word) => text.includes(word)) && (!onlyChanged || one.source !== "default");
};

/** Open where something was found or set. */
function Section({ of, searched }: { of: SettingSection; searched: boolean }) {
  const changed = of.settings.filter((one) => one.source !== "default").length;
  return (
    <details className="card section" open={searched || changed > 0}>
      <summary>
        <h2>{of.name ? <code>{`[${of.name}]`}</code> : t`General`}</h2>
        <span className="quiet">{of.meaning && <Marked text={of.meaning} />}</span>
        {changed > 0 && <span className="chip live">{t`${changed} set`}</span>}
      </summary>
      <ul className="stack">
        {of.settings.map((one) => (
          <Line key={one.name} of={one} />
        ))}
      </ul>
    </details>
  );
}

function Line({ of }: { of: Setting }) {
  const [open, setOpen] = useState(false);
  const usual = shownText(of.default);
  return (
    <li className="setting">
      <div className="row">
        <code className="name">{of.name}</code>
        <Value of={of} />
        <span className={of.source === "default" ? "chip" : "chip live"}>{i18n.t(SOURCES[of.source])}</span>
        <button
          type="button"
          className="link"
          aria-expanded={open}
          aria-label={t`How to set it: ${of.name}`}
          onClick={() => setOpen(!open)}
        >
          {t`How to set it`}
        </button>
      </div>
      <p className="quiet">
        <Marked text={of.meaning} />
        {of.choices.length > 0 && <> · {t`one of: ${of.choices.join(", ")}`}</>}
        {!of.is_secret && of.source !== "default" && usual && <> · {t`default: ${usual}`}</>}
      </p>
      {open && (
        <div className="lines">
          <Copyable title={t`In the file`} text={fileLines(of)} about={t`the lines for the file`} />
          {hasVariable(of) && <Copyable title={t`Or in the environment`} text={variableLine(of)} about={t`the variable`} />}
        </div>
      )}
    </li>
  );
}

function Value({ of }: { of: Setting }) {
  if (of.is_secret) return <span>{of.is_set ? t`set` : t`not set`}</span>;
  const text = shownText(of.value);
  return text ? <code className="value">{text}</code> : <span className="quiet">{t`empty`}</span>;
}

function Copyable({ title, text, about }: { title: string; text: string; about: string }) {
  return (
    <div>
      <h3>{title}</h3>
      <div className="row">
        <pre className="copyable">{text}</pre>
        <CopyButton text={text} about={about} />
      </div>
    </div>
  );
}
