/** Connects this tab to the stream of events that all tabs of the browser share. */
import { fetchPart } from "../kit/part";
import type { Listener } from "./hub";
import type { Call } from "./hub.worker";

/** Passes events to the listener until the returned function is called. */
export function connect(principal: string, listener: Listener): () => void {
  return typeof SharedWorker === "undefined" ? connectAlone(principal, listener) : connectShared(principal, listener);
}

function connectShared(principal: string, listener: Listener): () => void {
  const worker = new SharedWorker(new URL("./hub.worker.ts", import.meta.url), { type: "module", name: "soundstage-events" });
  const call = (one: Call) => worker.port.postMessage(one);
  const join = () => call({ call: "join", principal });
  const leave = () => call({ call: "leave" });
  // A page that the browser keeps for Back has left, and comes back.
  const shown = (event: PageTransitionEvent) => event.persisted && join();
  worker.port.onmessage = ({ data }) => listener(data);
  addEventListener("pagehide", leave);
  addEventListener("pageshow", shown);
  join();
  return () => {
    removeEventListener("pagehide", leave);
    removeEventListener("pageshow", shown);
    leave();
    worker.port.close();
  };
}

/** Without shared workers the stream is in the page itself; few browsers need the code of it. */
function connectAlone(principal: string, listener: Listener): () => void {
  let left = false;
  let leave = () => {
    left = true;
  };
  void fetchPart(() => import("./alone")).then((alone) => {
    if (!left) leave = alone.connectAlone(principal, listener);
  });
  return () => leave();
}
