/** The stream of events of a page whose browser shares none between its tabs. */
import { EventHub, type Listener } from "./hub";

/** Without shared workers, as in browsers of phones: only while somebody looks. */
export function connectAlone(principal: string, listener: Listener): () => void {
  const hub = new EventHub();
  const look = () => (document.hidden ? hub.removeTab(listener) : hub.addTab(listener, principal));
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    hub.removeTab(listener);
  };
}
