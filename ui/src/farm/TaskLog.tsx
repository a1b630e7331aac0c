/** The end of what a task has written, and what it writes from now on while it is followed. */
import { t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { api, body } from "../api/client";
import { problemOf } from "../api/problem";
import { ErrorNotice } from "../kit/kit";
import { Select } from "../kit/Select";

type Stream = "stderr" | "stdout";
/** What is followed is cut at its beginning: a browser keeps no more of it. */
const MAX_CHARS = 500_000;

interface Props {
  allocation: string;
  task: string;
  running: boolean;
}

export function TaskLog({ allocation, task, running }: Props) {
  const [stream, setStream] = useState<Stream>("stderr");
  const [following, setFollowing] = useState(false);
  const tail = useQuery({
    queryKey: ["task-log", allocation, task, stream],
    queryFn: () =>
      body(
        api.GET("/api/farm/allocations/{allocation_id}/log", {
          params: { path: { allocation_id: allocation }, query: { task, stream } },
        }),
      ),
    staleTime: 0,
    gcTime: 0,
  });
  const refetch = tail.refetch;
  const stop = useCallback(() => {
    setFollowing(false);
    void refetch();
  }, [refetch]);
  const [written, error] = useFollowed(following, allocation, task, stream, stop);
  const text = following ? written : (tail.data?.text ?? "");
  const box = useRef<HTMLPreElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text has grown
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  return (
    <div className="stack task-log">
      <div className="row">
        <Select
          className="row quiet"
          label={t`Shows`}
          value={stream}
          onChange={(chosen) => {
            setStream(chosen);
            setFollowing(false);
          }}
          of={{ stderr: t`what is wrong (stderr)`, stdout: t`what it says (stdout)` }}
        />
        <button type="button" disabled={tail.isFetching || following} onClick={() => void tail.refetch()}>{t`Read again`}</button>
        {running && (
          <button type="button" aria-pressed={following} onClick={() => (following ? stop() : setFollowing(true))}>
            {following ? t`Follow no more` : t`Follow`}
          </button>
        )}
      </div>
      {(tail.error ?? error) && <ErrorNotice error={tail.error ?? error} />}
      {tail.isPending && <p className="quiet">{t`One moment`}</p>}
      {(tail.data || following) && text === "" && <p className="quiet">{t`It has written nothing yet.`}</p>}
      {!following && tail.data && !tail.data.whole && <p className="quiet">{t`Only its end is shown.`}</p>}
      {text && (
        // biome-ignore-start lint/a11y: what scrolls must be reached by keyboard, and a group is no landmark
        <pre ref={box} role="group" tabIndex={0} aria-label={t`Log of ${task}`}>
          {text}
        </pre>
        // biome-ignore-end lint/a11y: so far
      )}
    </div>
  );
}

/** The log as it is written while it is followed, from its end on; `onEnd` when the task writes no more. */
function useFollowed(
  on: boolean,
  allocation: string,
  task: string,
  stream: Stream,
  onEnd: () => void,
): [text: string, error: Error | null] {
  const [text, setText] = useState("");
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    if (!on) return;
    setText("");
    setError(null);
    const line = new AbortController();
    const query = new URLSearchParams({ task, stream });
    const read = async () => {
      const answer = await fetch(`/api/farm/allocations/${allocation}/log/follow?${query}`, { signal: line.signal });
      if (!answer.ok) throw await problemOf(answer);
      const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done = true, value = "" } = (await reader?.read()) ?? {};
        if (done) return;
        setText((before) => (before + value).slice(-MAX_CHARS));
      }
    };
    read()
      .catch((found: Error) => line.signal.aborted || setError(found))
      .finally(() => line.signal.aborted || onEnd());
    return () => line.abort();
  }, [on, allocation, task, stream, onEnd]);
  return [text, error];
}
