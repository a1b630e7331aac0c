/** Where a film comes from: who had it made, when, with which presenters, voices and programs, and what proves that; its files. */

import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { api, body, type Me, type RenderDetail } from "../api/client";
import { Problem, problemOf } from "../api/problem";
import { usePersonas } from "../create/usePersonas";
import { Facts } from "../kit/Facts";
import { State } from "../kit/kit";
import { personWords } from "../kit/person";
import { drawnBy, fileUrl, mebibytes, when } from "./words";

const FILES = {
  video: msg`MP4`,
  vtt: msg`Captions (VTT)`,
  srt: msg`Captions (SRT)`,
  provenance: msg`Provenance`,
  poster: msg`Poster`,
};

/** IPTC's list of digital source types, as far as our videos are of one. */
const SOURCES: Record<string, ReturnType<typeof msg>> = {
  algorithmicMedia: msg`drawn by rules, without a trained model`,
  trainedAlgorithmicMedia: msg`made with a trained model`,
  compositeSynthetic: msg`drawn by rules, with real footage in it`,
  compositeWithTrainedAlgorithmicMedia: msg`made with a trained model, with real footage in it`,
};

interface ProvenanceFile {
  digital_source_type?: string;
  software?: string;
  engines?: { role: string; name: string; version: string }[];
  consents?: { person: string }[];
}

export function Origin({ render, me }: { render: RenderDetail; me: Me }) {
  const path = { render_id: render.id };
  const has = (role: string) => render.outputs.some((one) => one.role === role);
  const personas = usePersonas();
  const record = useQuery({
    queryKey: ["provenance", render.id],
    queryFn: async () => {
      const answer = await fetch(fileUrl(render.id, "provenance"));
      if (!answer.ok) throw await problemOf(answer);
      return (await answer.json()) as ProvenanceFile;
    },
    enabled: has("provenance"),
    staleTime: Infinity,
  });
  const nameOf = (id: string) => personas.data?.find((one) => one.id === id)?.persona?.name ?? id;
  const { engines = [], software, digital_source_type: source = "", consents = [] } = record.data ?? {};
  const named = (role: string) => [
    ...new Set(engines.filter((one) => one.role === role).map((one) => `${one.name} ${one.version}`)),
  ];
  // How much of a card a network took.
  const modes = drawnBy(render.progress.engines.filter((one) => one.mode));
  const kind = SOURCES[source.slice(source.lastIndexOf("/") + 1)];
  const rows: [name: string, value: ReactNode][] = [
    [t`Made`, when(render.finished_at ?? render.created_at)],
    [t`Requested by`, personWords(render.requested_by) || "–"],
    [t`Presenters`, render.personas.map(nameOf).join(", ") || "–"],
    [t`Voice`, named("speech").join(", ") || "–"],
    [t`Picture`, [...named("face"), ...named("tracker")].join(", ") || "–"],
    ...(modes.length > 0 ? [[t`Drawn by`, modes.join(", ")] satisfies [string, ReactNode]] : []),
    ...(kind ? [[t`Kind`, i18n.t(kind)] satisfies [string, ReactNode]] : []),
    ...(software ? [[t`Software`, software] satisfies [string, ReactNode]] : []),
    ...(consents.length > 0
      ? [[t`Consents`, [...new Set(consents.map((one) => one.person))].join(", ")] satisfies [string, ReactNode]]
      : []),
    [t`Content Credentials`, <Credentials key="c2pa" id={path.render_id} />],
    ...(render.trace_id
      ? [
          [
            t`Trace`,
            me.permissions.includes("trace:read") ? (
              <Link key="trace" className="mono" to="/run/log/$id" params={{ id: render.id }} title={t`Steps and their times`}>
                {render.trace_id}
              </Link>
            ) : (
              <code key="trace">{render.trace_id}</code>
            ),
          ] satisfies [string, ReactNode],
        ]
      : []),
  ];
  return (
    <section className="card origin" aria-labelledby="origin-title">
      <h2 id="origin-title">{t`Where it comes from`}</h2>
      <Facts of={rows} className="plan" />
    </section>
  );
}

/** Read and checked by the server, byte by byte. */
function Credentials({ id }: { id: string }) {
  const found = useQuery({
    queryKey: ["credentials", id],
    queryFn: () => body(api.GET("/api/renders/{render_id}/credentials", { params: { path: { render_id: id } } })),
    staleTime: Infinity,
    retry: false,
  });
  if (found.error instanceof Problem && found.error.code === "credentials.none")
    return <span className="quiet">{t`none: it was not signed`}</span>;
  if (found.error) return <State of="failed">{t`cannot be read`}</State>;
  if (!found.data) return <span className="quiet">{t`One moment`}</span>;
  if (!found.data.valid) return <State of="failed">{t`changed after it was signed`}</State>;
  return found.data.signer === "this installation" ? (
    <State of="done">{t`signed by this installation, unchanged`}</State>
  ) : (
    <State of="pending">{t`signed by others: ${found.data.signed_by}`}</State>
  );
}

export function Files({ render }: { render: RenderDetail }) {
  const sizes = Object.fromEntries(render.outputs.map((one) => [one.role, one.bytes]));
  return (
    <section className="card" aria-labelledby="files-title">
      <h2 id="files-title">{t`Files`}</h2>
      <ul className="row">
        {Object.entries(FILES).map(([role, name]) => {
          const bytes = sizes[role];
          return (
            bytes !== undefined && (
              <li key={role}>
                <a className="button" href={fileUrl(render.id, role)} download="">
                  {i18n.t(name)} <span className="quiet">{mebibytes(bytes)}</span>
                </a>
              </li>
            )
          );
        })}
        <li>
          <button type="button" onClick={() => saveSpec(render)}>{t`Recipe (JSON)`}</button>
        </li>
      </ul>
    </section>
  );
}

/** As `soundstage render FILE` takes it. */
function saveSpec(render: RenderDetail) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(render.spec, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${render.id}.spec.json`;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
