/** All videos: found by words, state and presenter, in an order of one's own, and fetched as one comes near their end. */
import { plural, t } from "@lingui/core/macro";
import { Link, useLocation, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Me, RenderSummary } from "../api/client";
import { getRenders } from "../api/limits";
import { useNear } from "../create/useNear";
import { usePersonas } from "../create/usePersonas";
import { Field } from "../kit/Field";
import { NoRows, ownWords, State } from "../kit/kit";
import { Select } from "../kit/Select";
import { useSettled } from "../kit/useSettled";
import { Icon } from "../shell/Icon";
import { ENDED, Making } from "./Making";
import { pictureUrl } from "./picture";
import { type Facets, facetsOf, PAGE_ROWS, useRenders } from "./useRenders";
import { facts } from "./words";

export function Wall({ me }: { me: Me }) {
  const [asked, setAsked] = useFacets();
  const { q = "", ...others } = asked;
  const words = useSettled(q.trim());
  const facets = { ...others, ...(words && { q: words }) };
  const any = Object.keys(facets).length === 0;
  const renders = useRenders(facets);
  const rows = renders.data?.pages.flatMap((page) => page.rows);
  const total = renders.data?.pages.at(-1)?.total ?? 0;
  const isUsed = total > 0 || Object.keys(asked).length > 0;
  const unfinished = any ? rows?.filter((one) => !ENDED.includes(one.state)) : undefined;
  const made = unfinished?.find((one) => one.state === "running") ?? unfinished?.[0];
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Videos`}</h1>
        {isUsed && me.permissions.includes("project:create") && <Link className="button primary" to="/">{t`New video`}</Link>}
      </div>
      {isUsed && (
        <div className="row apart">
          <span className="quiet" role="status">
            {rows && counted(rows.length, total, !any)}
          </span>
          <div className="row choices-of-wall">
            <Choices asked={asked} choose={setAsked} />
          </div>
        </div>
      )}
      {made && <Making render={made} me={me} />}
      <NoRows of={{ data: rows, error: renders.error }}>
        {any ? t`Nothing here yet. The first video is a sentence away.` : noneFound(words)}
      </NoRows>
      <div className="wall">
        {pagesOf(rows?.filter((one) => one !== made) ?? []).map((some, place) => (
          <Tiles key={place} rows={some} />
        ))}
      </div>
      {renders.hasNextPage && (
        <More busy={renders.isFetchingNextPage} failed={renders.isFetchNextPageError} more={() => void renders.fetchNextPage()} />
      )}
    </div>
  );
}

/** What is chosen; the address says it, so that a link leads to the same videos. */
function useFacets(): [Facets, (facets: Facets) => void] {
  const { pathname } = useLocation();
  const navigate = useNavigate();
  const [facets, setFacets] = useState(facetsOf(useSearch({ strict: false })));
  const choose = (chosen: Facets) => {
    setFacets(chosen);
    if (pathname === "/videos") void navigate({ to: "/videos", search: facetsOf({ ...chosen }), replace: true });
  };
  return [facets, choose];
}

function Choices({ asked, choose }: { asked: Facets; choose: (facets: Facets) => void }) {
  const personas = usePersonas();
  const { q = "", state = "", presenter = "", sort = "" } = asked;
  const select = (change: Record<string, string>) => choose(facetsOf({ ...asked, ...change }));
  return (
    <>
      <Select
        bare
        label={t`State`}
        value={state}
        onChange={(state) => select({ state })}
        none={t`Every state`}
        of={{ done: t`Ready`, working: t`In work`, failed: t`Failed`, cancelled: t`Cancelled` }}
      />
      <Select
        bare
        label={t`Presenter`}
        value={presenter}
        onChange={(presenter) => select({ presenter })}
        none={t`Every presenter`}
        of={personas.data?.map((one) => [one.id, one.persona?.name ?? one.id]) ?? []}
      />
      <Select
        bare
        label={t`Order`}
        value={sort}
        onChange={(sort) => select({ sort })}
        none={t`Newest first`}
        of={{ created: t`Oldest first`, title: t`By title`, "-duration": t`Longest first` }}
      />
      <Field
        bare
        type="search"
        of={getRenders}
        name="q"
        label={t`Search videos`}
        placeholder={t`Search`}
        value={q}
        onChange={(value) => choose({ ...facetsOf({ ...asked, q: "" }), ...(value && { q: value }) })}
      />
    </>
  );
}

function pagesOf(rows: RenderSummary[]): RenderSummary[][] {
  return Array.from({ length: Math.ceil(rows.length / PAGE_ROWS) }, (_, place) =>
    rows.slice(place * PAGE_ROWS, (place + 1) * PAGE_ROWS),
  );
}

/** A page of tiles; far from the screen it is empty and as high as it was: a wall may have thousands. */
function Tiles({ rows }: { rows: RenderSummary[] }) {
  const list = useRef<HTMLUListElement>(null);
  const height = useRef(0);
  const near = useNear(list, true);
  // What has the focus stays, wherever one has scrolled to.
  const shown = near || list.current?.contains(document.activeElement) === true;
  useLayoutEffect(() => {
    if (shown && list.current?.offsetHeight) height.current = list.current.offsetHeight;
  });
  return (
    <ul ref={list} className="grid" style={shown ? undefined : { height: height.current }}>
      {shown && rows.map((one) => <Tile key={one.id} row={one} />)}
    </ul>
  );
}

/** Fetches the next page when one comes near it, and at a press; after a failure only at a press. */
function More({ busy, failed, more }: { busy: boolean; failed: boolean; more: () => void }) {
  const row = useRef<HTMLDivElement>(null);
  const near = useNear(row, false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once each time it comes near, or a page has come.
  useEffect(() => {
    if (near && !busy && !failed) more();
  }, [near, busy, failed]);
  return (
    <div ref={row} className="row ends">
      <button type="button" disabled={busy} onClick={more}>
        {busy ? t`One moment` : t`Show more`}
      </button>
    </div>
  );
}

function noneFound(words: string): string {
  return words ? t`No video has “${words}” in its title.` : t`No video is like that.`;
}

function counted(shown: number, total: number, some: boolean): string {
  if (some) return t`${total} found`;
  return shown < total ? t`${shown} of ${total}` : t`${plural(total, { one: "# video", other: "# videos" })}`;
}

function Tile({ row }: { row: RenderSummary }) {
  const picture = pictureUrl(row, 320);
  return (
    <li>
      <Link className="tile" to="/videos/$id" params={{ id: row.id }} preload={false}>
        <span className="picture">
          {picture ? <img src={picture} alt="" loading="lazy" decoding="async" /> : <Icon name="video" />}
          {row.state !== "done" && <State of={row.state} />}
        </span>
        <span className="words">
          <span className="title" dir="auto">
            {row.title}
          </span>
          <span className="quiet">{row.failed_scene ? t`Scene ${row.failed_scene.index + 1} failed` : facts(row)}</span>
          {row.error && <span className="quiet why">{ownWords(row.error)?.[0] ?? row.error.message}</span>}
        </span>
      </Link>
    </li>
  );
}
