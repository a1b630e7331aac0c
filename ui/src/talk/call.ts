/** The call of this tab. It goes on while other views are open. */
import { useSyncExternalStore } from "react";
import { api, body } from "../api/client";
import { goTo } from "../shell/session";
import { Call, type Opened } from "../sound/call";
import { setCall } from "./ongoing";

const path = (session_id: string) => ({ params: { path: { session_id } } });

/** Opens a session, or goes on with one. `transport` null: that of the server's settings, or one that carries video. */
async function open(
  presenter: string,
  sessionId: string | null,
  transport: "websocket" | null,
  wantsVideo: boolean,
): Promise<Opened> {
  const opened = await body(
    api.POST("/api/voice/session", {
      body: { user_id: "", agent_id: presenter, session_id: sessionId, transport, video: wantsVideo },
    }),
  );
  const { session_id, token, ice_servers = [], video = false } = opened;
  const otherwise = () => open(presenter, session_id, "websocket", false);
  // One id for what is spoken and what is written: the conversation beside it shows both.
  goTo(session_id);
  if (opened.transport === "livekit")
    return {
      session_id,
      url: opened.url,
      token,
      ice_servers,
      video,
      join: async (found, events) => (await import("../sound/room")).RoomLine.open(found, events),
      otherwise,
    };
  // Under the name by which the page was opened: its policy allows sockets to its own server.
  const url = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${new URL(opened.url).pathname}`;
  if (opened.transport === "websocket") return { session_id, url, token, ice_servers, video };
  const offer = async (sdp: string) =>
    (await body(api.POST("/api/voice/session/{session_id}/offer", { ...path(session_id), body: { type: "offer", sdp, token } })))
      .sdp;
  // Where the settings say WebRTC a lost connection is shown; for a video alone the sound goes on without.
  return { session_id, url, token, ice_servers, video, offer, ...(video && { otherwise }) };
}

export const call = new Call({
  open: (presenter, sessionId, video) => open(presenter, sessionId, null, video),
  async end(sessionId) {
    await api.DELETE("/api/voice/session/{session_id}", path(sessionId));
  },
});

setCall(call);

export const useCall = () => useSyncExternalStore(call.subscribe, () => call.view);
