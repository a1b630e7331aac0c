/** The conversation of this tab. An answer goes on at the server whatever becomes of the page, so a turn is
 * always read from its events, and a reload reads them again. */
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { api, type BrainEvent, body, type Turn } from "../api/client";
import { Problem } from "../api/problem";
import { randomHex } from "../kit/randomHex";
import { useLive } from "../live/Live";
import { follow, messages, pause } from "../live/sse";
import { goTo, useSession } from "../shell/session";
import { getCall, useOptionalCall } from "../talk/ongoing";
import { applyEvent, emptyTurn, type TurnViewModel, withText } from "./turn";

const TURNS_IN_FULL = 12;
/** Longer sentences are answered in writing, also during a call. */
const MAX_ALOUD_CHARS = 4000;
const PENDING_KEY = "soundstage.asked";

interface PendingRequest {
  request_id: string;
  message: string;
  session_id: string | null;
}

const isEnded = (turn: Turn) => turn.finished_at !== null;

export function useConversation() {
  const session = useSession();
  const queries = useQueryClient();
  const { announce } = useLive();
  const call = useOptionalCall();
  const [turns, setTurns] = useState<TurnViewModel[]>([]);
  const [asking, setAsking] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const abortRef = useRef<AbortController>(new AbortController());
  const sessionRef = useRef("");
  /** A written sentence whose answer is to be heard, until its turn begins. */
  const aloudRef = useRef("");

  const read = useCallback(
    async (id: string, number: number, utterance: string, signal: AbortSignal, how: { aloud?: boolean; ended?: boolean }) => {
      let turn = { ...emptyTurn(number, utterance), ended: how.ended ?? false };
      let streamedText = "";
      const show = () => {
        const now = streamedText ? withText(turn, streamedText) : turn;
        setTurns((all) => [...all.filter((one) => one.number !== number), now].sort((a, b) => a.number - b.number));
      };
      if (!how.ended) show();
      await follow(`/api/chat/sessions/${id}/turns/${number}/events`, signal, {
        message(one) {
          const event = JSON.parse(one.data) as BrainEvent;
          [turn, streamedText] = applyEvent(turn, streamedText, event);
          show();
          if (event.type !== "done") return false;
          if (how.aloud) announce(turn.failure?.message ?? turn.text);
          return true;
        },
        fatal: setError,
      });
    },
    [announce],
  );

  /** The first event of the answer says which turn it is; from there on the turn is read like any other. */
  const submit = useCallback(
    async (pending: PendingRequest, signal: AbortSignal) => {
      sessionStorage.setItem(PENDING_KEY, JSON.stringify(pending));
      setAsking(pending.message);
      setError(null);
      try {
        for (;;) {
          const answer = messages("/api/chat", {
            method: "POST",
            headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
            body: JSON.stringify(pending),
            signal,
          });
          try {
            for await (const one of answer) {
              const event = JSON.parse(one.data) as BrainEvent;
              if (event.type !== "turn") continue;
              sessionRef.current = event.session_id;
              sessionStorage.removeItem(PENDING_KEY);
              goTo(event.session_id);
              void queries.invalidateQueries({ queryKey: ["sessions"] });
              setAsking(null);
              void read(event.session_id, event.turn, pending.message, signal, { aloud: true });
              return;
            }
          } catch (failure) {
            // The server is away: the same request again begins nothing twice.
            if (!(failure instanceof Problem) || failure.status) throw failure;
          }
          if (signal.aborted) return;
          await pause(1000, signal);
        }
      } catch (failure) {
        if (signal.aborted) return;
        sessionStorage.removeItem(PENDING_KEY);
        setAsking(null);
        if ((failure as Problem).code === "session.not_found") goTo("");
        setError(failure);
      }
    },
    [queries, read],
  );

  useEffect(() => {
    if (session && session === sessionRef.current) return;
    // The call belongs to the conversation that was left.
    const left = getCall();
    if (left?.view.sessionId && left.view.sessionId !== session) void left.hangUp();
    abortRef.current.abort();
    const ended = new AbortController();
    abortRef.current = ended;
    sessionRef.current = session;
    setTurns([]);
    setError(null);
    const load = async () => {
      if (session) {
        const path = { session_id: session };
        const found = await body(api.GET("/api/chat/sessions/{session_id}/turns", { params: { path } }));
        if (ended.signal.aborted) return;
        setTurns(
          found.map((one) => {
            const turn = { ...emptyTurn(one.number, one.utterance), ended: isEnded(one) };
            return one.reply ? withText(turn, one.reply) : turn;
          }),
        );
        for (const one of found.slice(-TURNS_IN_FULL))
          void read(session, one.number, one.utterance, ended.signal, isEnded(one) ? { ended: true } : { aloud: true });
      }
      const pending = sessionStorage.getItem(PENDING_KEY);
      if (pending) await submit(JSON.parse(pending) as PendingRequest, ended.signal);
    };
    load().catch((failure: unknown) => {
      if ((failure as Problem).code === "session.not_found") goTo("");
      else if (!ended.signal.aborted) setError(failure);
    });
    // No clean-up: readers are aborted when the session changes, not at unmount.
    return () => undefined;
  }, [session, read, submit]);

  const write = useCallback(
    (message: string) =>
      void submit({ request_id: randomHex(16), message, session_id: sessionRef.current || null }, abortRef.current.signal),
    [submit],
  );

  /** Turns of a call are read as those that were written. */
  useEffect(() => {
    if (!call) return;
    const leave = call.onTurn((id, number, utterance) => {
      if (id !== sessionRef.current) return;
      aloudRef.current = "";
      setAsking(null);
      void queries.invalidateQueries({ queryKey: ["sessions"] });
      void read(id, number, utterance, abortRef.current.signal, {});
    });
    const ended = call.subscribe(() => {
      if (!aloudRef.current || call.view.phase === "on") return;
      // The call ended before the turn began: the sentence is asked in writing.
      write(aloudRef.current);
      aloudRef.current = "";
    });
    return () => {
      leave();
      ended();
    };
  }, [call, queries, read, write]);

  const ask = (message: string) => {
    const text = message.trim();
    if (!text) return;
    if (!call?.canSay || text.length > MAX_ALOUD_CHARS) return write(text);
    aloudRef.current = text;
    setAsking(text);
    setError(null);
    call.say(text);
  };
  const cancel = (number: number) =>
    void api
      .POST("/api/chat/sessions/{session_id}/turns/{number}/cancel", { params: { path: { session_id: session, number } } })
      .catch(setError);
  return { session, turns, asking, error, ask, cancel };
}
