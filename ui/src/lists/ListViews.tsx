/** Lists of what else the studio holds: assets, publications, keys and the audit log, the newest first. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { api, body } from "../api/client";
import { NoRows, Table } from "../kit/kit";
import { usePrincipal } from "../shell/me";
import { PRIVACIES, PublicationState } from "../videos/Publications";
import { mebibytes, when } from "../videos/words";

const MAX_ROWS = 200;

const ASSET_KINDS = {
  image: msg`picture`,
  video: msg`film`,
  audio: msg`sound`,
  motion: msg`motion`,
  avatar_image: msg`portrait`,
  avatar_video: msg`footage of a presenter`,
  tts_audio: msg`speech`,
  screen_capture: msg`screen recording`,
  composited_scene: msg`finished scene`,
};

/** A heading, a table once there are rows, and what stands there while there are none. */
export function List<Row>(props: {
  name: string;
  heads: string[];
  /** Of a column of buttons. */
  last?: string;
  /** Columns that a phone has no room for. */
  spare?: readonly number[];
  of: { data?: readonly Row[] | undefined; error: Error | null };
  empty: string;
  /** Between the heading and the table. */
  above?: ReactNode;
  children: (row: Row) => ReactNode;
}) {
  const { name, heads, last, spare, of, empty, above, children } = props;
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{name}</h1>
        {of.data?.length === MAX_ROWS && <span className="quiet">{t`the newest ${MAX_ROWS}`}</span>}
      </div>
      {above}
      <NoRows of={of}>{empty}</NoRows>
      {of.data && of.data.length > 0 && (
        <Table name={name} heads={heads} last={last} spare={spare}>
          {of.data.map(children)}
        </Table>
      )}
    </div>
  );
}

export function AssetsView() {
  const of = useQuery({
    queryKey: ["assets"],
    queryFn: () => body(api.GET("/api/assets", { params: { query: { limit: MAX_ROWS } } })),
  });
  const anyTags = of.data?.some((one) => one.tags.length > 0);
  const heads = [t`Name`, t`Kind`, t`Size`, ...(anyTags ? [t`Tags`] : []), t`Added`];
  return (
    <List
      name={t`Assets`}
      heads={heads}
      of={of}
      empty={t`No files yet. Pictures, films and sounds that programs upload by the API stand here.`}
    >
      {(one) => (
        <tr key={one.id}>
          <th scope="row">
            <a href={one.url}>{one.name}</a>
          </th>
          <td>{i18n.t(ASSET_KINDS[one.kind])}</td>
          <td>{mebibytes(one.bytes)}</td>
          {anyTags && <td>{one.tags.join(", ")}</td>}
          <td className="when">{when(one.created_at)}</td>
        </tr>
      )}
    </List>
  );
}

export function PublicationsView() {
  const me = usePrincipal();
  const of = useQuery({
    queryKey: ["publications"],
    queryFn: () => body(api.GET("/api/publications", { params: { query: { limit: MAX_ROWS } } })),
  });
  const heads = [t`Video`, t`State`, t`Where`, t`By`, t`Begun`];
  return (
    <List name={t`Publications`} heads={heads} spare={[3, 4]} of={of} empty={t`Nothing was published yet.`}>
      {(one) => (
        <tr key={one.id}>
          <th scope="row">
            {one.render_id ? (
              <Link to="/videos/$id" params={{ id: one.render_id }}>
                {one.wishes.title ?? one.render_id}
              </Link>
            ) : (
              one.id
            )}
          </th>
          <td>
            <PublicationState publication={one} me={me} />
          </td>
          <td className="address">{one.url ? <a href={one.url}>{one.url}</a> : i18n.t(PRIVACIES[one.wishes.privacy])}</td>
          <td className="spare">{one.requested_by}</td>
          <td className="when spare">{when(one.created_at)}</td>
        </tr>
      )}
    </List>
  );
}

export function AuditView() {
  const query = { limit: MAX_ROWS, sort: "-number" as const };
  const of = useQuery({ queryKey: ["audit"], queryFn: () => body(api.GET("/api/audit", { params: { query } })) });
  return (
    <List
      name={t`Audit`}
      heads={[t`Number`, t`When`, t`What`, t`Who`, t({ message: "On", context: "subject of a record" })]}
      spare={[3]}
      of={of}
      empty={t`Nothing was recorded yet.`}
    >
      {(one) => (
        <tr key={one.number}>
          <th scope="row">{one.number}</th>
          <td className="when">{when(one.at)}</td>
          <td>{one.kind}</td>
          <td className="spare">{one.actor}</td>
          <td className="mono">{one.subject}</td>
        </tr>
      )}
    </List>
  );
}
