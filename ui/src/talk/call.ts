/** The call of this tab. It goes on while other views are open. */
import { useSyncExternalStore } from "react";
import { api, body } from "../api/client";
import { goTo } from "../shell/session";
import { Call } from "../sound/call";
import { setCall } from "./ongoing";

const path = (session_id: string) => ({ params: { path: { session_id } } });

export const call = new Call({
  async open(presenter, sessionId) {
    const opened = await body(
      api.POST("/api/voice/session", {
        body: { user_id: "", agent_id: presenter, session_id: sessionId, transport: "websocket" },
      }),
    );
    // One id for what is spoken and what is written: the conversation beside it shows both.
    goTo(opened.session_id);
    // The page's policy allows sockets to its own server alone, by the name under which it was opened.
    const url = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${new URL(opened.url).pathname}`;
    return { session_id: opened.session_id, url, token: opened.token };
  },
  async end(sessionId) {
    await api.DELETE("/api/voice/session/{session_id}", path(sessionId));
  },
});

setCall(call);

export const useCall = () => useSyncExternalStore(call.subscribe, () => call.view);
