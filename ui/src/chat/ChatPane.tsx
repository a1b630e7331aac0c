/** The conversation: what was said, what the tools did, what is answered. */

import { t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, body } from "../api/client";
import { ChatRequest } from "../api/limits";
import { Field } from "../kit/Field";
import { keysText } from "../kit/keys";
import { ErrorNotice } from "../kit/kit";
import { Select } from "../kit/Select";
import { goTo } from "../shell/session";
import { helpQuery } from "./help";
import { onSuggestion, takeSuggestion } from "./suggestion";
import { TurnView } from "./TurnView";
import { useConversation } from "./useConversation";
import "./chat.css";

export function ChatPane({ takesFocus, onClose }: { takesFocus: boolean; onClose: (() => void) | undefined }) {
  const talk = useConversation();
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const end = useRef<HTMLDivElement>(null);
  const sessions = useQuery({ queryKey: ["sessions"], queryFn: () => body(api.GET("/api/chat/sessions")) });
  const help = useQuery(helpQuery());
  const busy = talk.asking !== null || talk.turns.some((one) => !one.ended);
  const last = talk.turns.at(-1);
  // biome-ignore lint/correctness/useExhaustiveDependencies: they say that the conversation has grown
  useEffect(() => {
    if (last || talk.asking !== null) end.current?.scrollIntoView({ block: "end" });
  }, [talk.turns.length, talk.asking, last?.text, last?.steps.length, last?.ended]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when it appears
  useEffect(() => {
    if (takesFocus) field.current?.focus();
  }, []);

  const send = (sentence: string) => {
    talk.ask(sentence);
    setText("");
    field.current?.focus();
  };
  const fill = (sentence: string) => {
    setText(sentence);
    field.current?.focus();
  };
  useEffect(() => {
    const take = () => {
      const sentence = takeSuggestion();
      if (sentence !== null) fill(sentence);
    };
    take();
    return onSuggestion(take);
  });
  const openings = (help.data ?? []).flatMap((one) => one.openings);

  return (
    <section className="chat" aria-labelledby="chat-title">
      <div className="chat-head">
        <h1 id="chat-title">{t`Chat`}</h1>
        <div className="row">
          {(sessions.data?.length ?? 0) > 0 && (
            <Select
              bare
              label={t`Conversation`}
              value={talk.session}
              onChange={goTo}
              none={t`New conversation`}
              of={sessions.data?.map((one) => [one.id, one.title || t`Without words`]) ?? []}
            />
          )}
          {talk.session && <button type="button" className="plain" onClick={() => goTo("")}>{t`New chat`}</button>}
          {onClose && (
            <button type="button" className="plain icon close" aria-label={t`Close the chat`} onClick={onClose}>
              ×
            </button>
          )}
        </div>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <section className="turns" tabIndex={0} aria-label={t`Conversation so far`}>
        {talk.turns.length === 0 && talk.asking === null && (
          <div className="stack">
            <h2>{t`Who should say what?`}</h2>
            <p className="quiet">{t`Say what you want in a sentence. What follows a colon is spoken word for word.`}</p>
            <div className="examples">
              {openings.map((one) => (
                <button type="button" key={one} onClick={() => fill(one)}>
                  {one}
                </button>
              ))}
            </div>
          </div>
        )}
        {talk.turns.map((one) => (
          <TurnView key={one.number} turn={one} onSay={send} onFill={fill} onCancel={() => talk.cancel(one.number)} />
        ))}
        {talk.asking !== null && (
          <article className="turn">
            <p className="said">{talk.asking}</p>
            <p className="thinking" />
          </article>
        )}
        {talk.error !== null && <ErrorNotice error={talk.error} />}
        <div ref={end} />
      </section>
      <form
        className="composer"
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy) send(text);
        }}
      >
        <Field
          bare
          rows={2}
          id="utterance"
          ref={field}
          of={ChatRequest}
          name="message"
          required={false}
          label={t`Your sentence`}
          value={text}
          placeholder={openings[0] ?? ""}
          onChange={setText}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
              event.preventDefault();
              event.currentTarget.form?.requestSubmit();
            }
          }}
        />
        <div className="row apart">
          <span className="quiet">{t`${keysText("Enter")} sends, ${keysText("Shift Enter")} starts a new line.`}</span>
          <button id="send" className="primary" type="submit" disabled={busy || !text.trim()}>{t`Send`}</button>
        </div>
      </form>
    </section>
  );
}
