/** The call of this tab. It goes on while other views are open. */
import { useSyncExternalStore } from "react";
import { api, body } from "../api/client";
import { goTo } from "../shell/session";
import { Call } from "../sound/call";
import { setCall } from "./ongoing";

const path = (session_id: string) => ({ params: { path: { session_id } } });

/** `transport` null: that of the server's settings. */
const open = (agent_id: string, session_id: string | null, transport: "websocket" | null) =>
  body(api.POST("/api/voice/session", { body: { user_id: "", agent_id, session_id, transport } }));

export const call = new Call({
  async open(presenter, sessionId) {
    let opened = await open(presenter, sessionId, null);
    // Rooms need an SDK, and sockets to another server, which the page's policy forbids.
    if (opened.transport === "livekit") opened = await open(presenter, opened.session_id, "websocket");
    // One id for what is spoken and what is written: the conversation beside it shows both.
    goTo(opened.session_id);
    // The page's policy allows sockets to its own server alone, by the name under which it was opened.
    const url = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${new URL(opened.url).pathname}`;
    const { session_id, token, ice_servers = [] } = opened;
    if (opened.transport !== "webrtc") return { session_id, url, token, ice_servers };
    const offer = async (sdp: string) =>
      (
        await body(
          api.POST("/api/voice/session/{session_id}/offer", { ...path(session_id), body: { type: "offer", sdp, token } }),
        )
      ).sdp;
    return { session_id, url, token, ice_servers, offer };
  },
  async end(sessionId) {
    await api.DELETE("/api/voice/session/{session_id}", path(sessionId));
  },
});

setCall(call);

export const useCall = () => useSyncExternalStore(call.subscribe, () => call.view);
