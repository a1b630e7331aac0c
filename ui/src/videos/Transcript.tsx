/** The words of a film beside its player: the one that is spoken is marked, a click plays from there, and they are searched. */
import { t } from "@lingui/core/macro";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type RefObject, useEffect, useMemo, useRef, useState } from "react";
import { api, body, type RenderDetail } from "../api/client";
import { problemOf } from "../api/problem";
import { foundPieces, type Line, lastBefore, linesOfCaptions, linesOfWords, textOf } from "./transcript";
import { clock, fileUrl } from "./words";

/** The word is on screen a moment before it is heard: so long the browser takes for a picture. */
const EARLY_S = 0.02;

async function read(render: RenderDetail): Promise<Line[]> {
  const path = { render_id: render.id };
  const { scenes } = await body(api.GET("/api/renders/{render_id}/transcript", { params: { path } }));
  if (scenes.length > 0) return linesOfWords(scenes);
  if (!render.outputs.some((one) => one.role === "vtt")) return [];
  const answer = await fetch(fileUrl(render.id, "vtt"));
  if (!answer.ok) throw await problemOf(answer);
  return linesOfCaptions(await answer.text());
}

export const transcriptQuery = (render: RenderDetail) =>
  queryOptions({ queryKey: ["transcript", render.id], queryFn: () => read(render), staleTime: Infinity });

export function Transcript({ render, video }: { render: RenderDetail; video: RefObject<HTMLVideoElement | null> }) {
  const found = useQuery(transcriptQuery(render));
  const [search, setSearch] = useState("");
  const query = search.trim();
  const lines = useMemo(() => {
    const all = found.data ?? [];
    return query ? all.filter((line) => textOf(line).toLocaleLowerCase().includes(query.toLocaleLowerCase())) : all;
  }, [found.data, query]);
  if (found.data?.length === 0) return null;
  return (
    <section className="card transcript" aria-labelledby="transcript-title">
      <div className="row apart">
        <h2 id="transcript-title">{t`Transcript`}</h2>
        <div className="row">
          <span className="quiet" role="status">
            {query && t`${lines.length} found`}
          </span>
          <input
            type="search"
            aria-label={t`Search the transcript`}
            placeholder={t`Search`}
            value={search}
            onChange={({ target }) => setSearch(target.value)}
          />
        </div>
      </div>
      {found.error && <p className="quiet">{t`The transcript cannot be read now.`}</p>}
      {found.isPending && <p className="quiet">{t`One moment`}</p>}
      {lines.length > 0 && <Lines lines={lines} search={query} video={video} />}
    </section>
  );
}

interface LinesProps {
  lines: readonly Line[];
  search: string;
  video: RefObject<HTMLVideoElement | null>;
}

function Lines({ lines, search, video }: LinesProps) {
  const list = useRef<HTMLOListElement>(null);
  const navigate = useNavigate();
  useMarks(list, video, lines, search);
  const playFrom = (seconds: number) => {
    void navigate({ to: ".", search: { t: seconds }, replace: true });
    const player = video.current;
    if (!player) return;
    player.currentTime = seconds;
    // A browser may want a press on the player itself first.
    void player.play().catch(() => {});
  };
  return (
    // By keyboard the times before the lines do what a click on a word does.
    // biome-ignore lint/a11y/useKeyWithClickEvents: so
    <ol
      ref={list}
      className="lines"
      onClick={(event) => {
        const from = (event.target as HTMLElement).closest<HTMLElement>("[data-at]")?.dataset.at;
        if (from === undefined || !(getSelection()?.isCollapsed ?? true)) return;
        event.preventDefault();
        playFrom(Number(from));
      }}
    >
      {lines.map((line) => (
        <li key={line.start} data-line={line.start}>
          <a className="at" href={`?t=${line.start}`} data-at={line.start} aria-label={t`Play from ${clock(1000 * line.start)}`}>
            {clock(1000 * line.start)}
          </a>
          <p>
            {line.scene !== null && <span className="chip">{t`Scene ${line.scene}`}</span>} <Words line={line} search={search} />
          </p>
        </li>
      ))}
    </ol>
  );
}

function Words({ line, search }: { line: Line; search: string }) {
  if (search)
    return (
      <span data-at={line.start}>
        {foundPieces(textOf(line), search).map((piece, place) => (place % 2 ? <mark key={place}>{piece}</mark> : piece))}
      </span>
    );
  return line.words.map((word, place) => (
    <span key={place}>
      <span className="word" data-at={word.start}>
        {word.text}
      </span>{" "}
    </span>
  ));
}

/** Marks the line and the word that are spoken now, past React: they change many times a second. */
function useMarks(
  list: RefObject<HTMLOListElement | null>,
  video: RefObject<HTMLVideoElement | null>,
  lines: readonly Line[],
  search: string,
) {
  useEffect(() => {
    const [root, player] = [list.current, video.current];
    if (!root || !player) return;
    const rows = [...root.querySelectorAll<HTMLElement>("[data-line]")];
    const words = search ? [] : [...root.querySelectorAll<HTMLElement>(".word")];
    const lineTimes = lines.map((line) => line.start);
    const wordTimes = words.map((word) => Number(word.dataset.at));
    let [row, word]: (HTMLElement | undefined)[] = [];
    const mark = () => {
      const at = player.currentTime + EARLY_S;
      const nextRow = rows[lastBefore(lineTimes, at)];
      const nextWord = words[lastBefore(wordTimes, at)];
      if (nextRow !== row) {
        row?.removeAttribute("aria-current");
        nextRow?.setAttribute("aria-current", "true");
        row = nextRow;
        if (row && !player.paused) follow(root, row);
      }
      if (nextWord !== word) {
        word?.classList.remove("now");
        nextWord?.classList.add("now");
        word = nextWord;
      }
    };
    let frame = 0;
    const run = () => {
      mark();
      frame = player.paused ? 0 : requestAnimationFrame(run);
    };
    const start = () => {
      cancelAnimationFrame(frame);
      run();
    };
    const events = ["play", "seeked", "pause"];
    for (const one of events) player.addEventListener(one, start);
    // A film that has not begun speaks no word yet.
    if (player.currentTime > 0 || !player.paused) start();
    return () => {
      cancelAnimationFrame(frame);
      for (const one of events) player.removeEventListener(one, start);
      row?.removeAttribute("aria-current");
      word?.classList.remove("now");
    };
  }, [list, video, lines, search]);
}

/** Scrolls the lines alone, and only as far as needed. */
function follow(list: HTMLElement, row: HTMLElement) {
  const top = row.offsetTop - list.offsetTop;
  if (top < list.scrollTop || top + row.offsetHeight > list.scrollTop + list.clientHeight)
    list.scrollTop = Math.max(0, top - list.clientHeight / 3);
}
