/** Holds the stream of events for all tabs of a browser; a tab sends `join` and `leave`, and receives each `HubMessage`. */
import { EventHub, type HubMessage, type Listener } from "./hub";

export type Call = { call: "join"; principal: string } | { call: "leave" };

const hub = new EventHub();
const scope = self as unknown as { onconnect: (event: MessageEvent) => void };
scope.onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  const listener: Listener = (message: HubMessage) => port.postMessage(message);
  port.onmessage = ({ data }: MessageEvent<Call>) => {
    if (data.call === "join") hub.addTab(listener, data.principal);
    else hub.removeTab(listener);
  };
};
