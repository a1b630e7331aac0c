/** Lists of what else the studio holds: publications and the audit log, the newest first. */

import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { api, body } from "../api/client";
import { NoRows, Table } from "../kit/kit";
import { personWords } from "../kit/person";
import { usePrincipal } from "../shell/me";
import { PRIVACIES, PublicationState } from "../videos/Publications";
import { when } from "../videos/words";

const MAX_ROWS = 200;

/** A heading, a table once there are rows, and what stands there while there are none. */
export function List<Row>(props: {
  name: string;
  heads: string[];
  /** Of a column of buttons. */
  last?: string;
  of: { data?: readonly Row[] | undefined; error: Error | null };
  empty: string;
  /** Between the heading and the table. */
  above?: ReactNode;
  children: (row: Row) => ReactNode;
}) {
  const { name, heads, last, of, empty, above, children } = props;
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{name}</h1>
        {of.data?.length === MAX_ROWS && <span className="quiet">{t`the newest ${MAX_ROWS}`}</span>}
      </div>
      {above}
      <NoRows of={of}>{empty}</NoRows>
      {of.data && of.data.length > 0 && (
        <Table name={name} heads={heads} last={last}>
          {of.data.map(children)}
        </Table>
      )}
    </div>
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
    <List name={t`Publications`} heads={heads} of={of} empty={t`Nothing was published yet.`}>
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
          <td>{one.url ? <a href={one.url}>{t`On YouTube`}</a> : i18n.t(PRIVACIES[one.wishes.privacy])}</td>
          <td>{personWords(one.requested_by)}</td>
          <td className="when">{when(one.created_at)}</td>
        </tr>
      )}
    </List>
  );
}
