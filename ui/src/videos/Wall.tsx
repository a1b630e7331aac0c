/** All videos, the newest first: found by words, and page by page. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Me, RenderSummary } from "../api/client";
import { NoRows, State } from "../kit/kit";
import { useSettled } from "../kit/useSettled";
import { ENDED, Making } from "./Making";
import { pictureUrl } from "./picture";
import { useRenders } from "./useRenders";
import { facts } from "./words";

export function Wall({ me }: { me: Me }) {
  const [words, setWords] = useState("");
  const search = useSettled(words.trim());
  const renders = useRenders(search);
  const rows = renders.data?.pages.flatMap((page) => page.rows);
  const total = renders.data?.pages.at(-1)?.total ?? 0;
  const made = search ? undefined : rows?.find((one) => !ENDED.includes(one.state));
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Videos`}</h1>
        {(total > 0 || search !== "" || words !== "") && (
          <div className="row">
            <span className="quiet" role="status">
              {rows && counted(rows.length, total, search)}
            </span>
            <input
              type="search"
              aria-label={t`Search videos`}
              placeholder={t`Search`}
              maxLength={200}
              value={words}
              onChange={(event) => setWords(event.target.value)}
            />
          </div>
        )}
      </div>
      {made && <Making render={made} me={me} />}
      <NoRows of={{ data: rows, error: renders.error }}>
        {search ? t`No video has “${search}” in its title.` : t`Nothing here yet. The first video is a sentence away.`}
      </NoRows>
      <ul className="grid">
        {rows?.map((one) => (
          <Tile key={one.id} row={one} />
        ))}
      </ul>
      {renders.hasNextPage && (
        <div className="row ends">
          <button type="button" disabled={renders.isFetchingNextPage} onClick={() => void renders.fetchNextPage()}>
            {renders.isFetchingNextPage ? t`One moment` : t`Show more`}
          </button>
        </div>
      )}
    </div>
  );
}

function counted(shown: number, total: number, search: string): string {
  if (search) return t`${total} found`;
  return shown < total ? t`${shown} of ${total}` : `${total}`;
}

function Tile({ row }: { row: RenderSummary }) {
  const picture = pictureUrl(row, 320);
  return (
    <li>
      <Link className="tile" to="/videos/$id" params={{ id: row.id }} preload={false}>
        <span className="picture">
          {picture ? <img src={picture} alt="" loading="lazy" decoding="async" /> : <span />}
          {row.state !== "done" && <State of={row.state} />}
        </span>
        <span className="words">
          <span className="title">{row.title}</span>
          <span className="quiet">{row.failed_scene ? t`Scene ${row.failed_scene.index + 1} failed` : facts(row)}</span>
        </span>
      </Link>
    </li>
  );
}
