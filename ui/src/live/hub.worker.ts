/** Holds the stream of events for all tabs of a browser; a tab says `join` and `leave`, and gets each `HubMessage`. */
import { EventHub, type HubMessage, type Tell } from "./hub";

export type Call = { call: "join"; principal: string } | { call: "leave" };

const hub = new EventHub();
const scope = self as unknown as { onconnect: (event: MessageEvent) => void };
scope.onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  const tell: Tell = (news: HubMessage) => port.postMessage(news);
  port.onmessage = ({ data }: MessageEvent<Call>) => {
    if (data.call === "join") hub.join(tell, data.principal);
    else hub.leave(tell);
  };
};
