/** The one stream of events of a browser, shared out to its tabs. It runs in a SharedWorker; where there is none,
 * in the page itself, which then closes it while it is hidden: a browser opens six connections to a server. */
import { isServerThere } from "../api/reachable";
import { BUFFER_SIZE, type ServerEvent } from "./serverEvent";
import { follow } from "./sse";

/** `afterInitialLoad`: the event may be newer than the page's initial queries, so their data may be out of date. */
export interface Arrival {
  event: ServerEvent;
  afterInitialLoad: boolean;
}

export type HubMessage =
  | { type: "start"; arrivals: Arrival[]; serverReachable: boolean; refusedStatus: number }
  | { type: "events"; arrivals: Arrival[] }
  | { type: "reachable"; serverReachable: boolean }
  | { type: "refused"; status: number };

export type Listener = (message: HubMessage) => void;

/** Events older than the stream by more than this were already in the initial queries. */
const INITIAL_LOAD_MS = 5000;
const HEALTH_POLL_MS = 3000;
/** The server sends a heartbeat every 15 s: who hears nothing for longer asks whether it is there. */
const SILENT_MS = 40_000;
/** The first event is told at once, those that follow it within this time together: thousands a second draw few pages. */
const TOGETHER_MS = 100;

export class EventHub {
  private tabs = new Set<Listener>();
  private buffer: { arrival: Arrival; arrivedAt: number }[] = [];
  private principal = "";
  private serverReachable = true;
  private refusedStatus = 0;
  private controller: AbortController | null = null;
  private last = "";
  /** Not told yet; null while the next one is told at once. */
  private gathered: Arrival[] | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** Replays the buffered events to a tab. For another principal the buffer is dropped and the stream restarted. */
  addTab(listener: Listener, principal: string): void {
    if (principal !== this.principal || this.refusedStatus) {
      this.stop();
      this.buffer = [];
      this.last = "";
      this.principal = principal;
    }
    // The buffer that this tab gets has them.
    this.tellGathered();
    this.tabs.add(listener);
    this.start();
    const now = Date.now();
    const arrivals = this.buffer.slice(-BUFFER_SIZE).map(({ arrival, arrivedAt }) => ({
      event: arrival.event,
      afterInitialLoad: arrival.afterInitialLoad && now - arrivedAt < INITIAL_LOAD_MS,
    }));
    listener({ type: "start", arrivals, serverReachable: this.serverReachable, refusedStatus: this.refusedStatus });
  }

  removeTab(listener: Listener): void {
    this.tabs.delete(listener);
    if (this.tabs.size === 0) this.stop();
  }

  private broadcast(message: HubMessage): void {
    for (const listener of this.tabs) listener(message);
  }

  private tell(arrival: Arrival): void {
    if (this.gathered) {
      this.gathered.push(arrival);
      return;
    }
    this.gathered = [];
    this.broadcast({ type: "events", arrivals: [arrival] });
    const next = () => {
      if (this.tellGathered()) this.timer = setTimeout(next, TOGETHER_MS);
      else this.gathered = null;
    };
    this.timer = setTimeout(next, TOGETHER_MS);
  }

  private tellGathered(): boolean {
    const arrivals = this.gathered ?? [];
    if (arrivals.length === 0) return false;
    this.gathered = [];
    this.broadcast({ type: "events", arrivals });
    return true;
  }

  private stop(): void {
    clearTimeout(this.timer);
    this.gathered = null;
    this.controller?.abort();
    this.controller = null;
  }

  private start(): void {
    if (this.controller) return;
    const controller = new AbortController();
    this.controller = controller;
    this.refusedStatus = 0;
    // What the server's clock showed when the stream was first opened: the browser's may be hours off.
    let serverTimeAtOpen: number | undefined;
    const resumed = this.last !== "";
    let lastSeenAt = 0;
    void follow("/api/events?recent=200", controller.signal, {
      after: this.last,
      received: () => {
        lastSeenAt = Date.now();
      },
      broken: () => {
        lastSeenAt = 0;
        void this.pollHealth();
      },
      opened: (answer) => {
        lastSeenAt = Date.now();
        this.setReachable(true);
        serverTimeAtOpen ??= Date.parse(answer.headers.get("Date") ?? "") || Date.now();
      },
      message: (one) => {
        this.last = one.id || this.last;
        const event = JSON.parse(one.data) as ServerEvent;
        const arrival = {
          event,
          afterInitialLoad:
            resumed || serverTimeAtOpen === undefined || Date.parse(event.at) >= serverTimeAtOpen - INITIAL_LOAD_MS,
        };
        // Progress of frames is frequent, and not part of the log.
        if (event.kind !== "render.progress") {
          this.buffer.push({ arrival, arrivedAt: Date.now() });
          if (this.buffer.length > 2 * BUFFER_SIZE) this.buffer = this.buffer.slice(-BUFFER_SIZE);
        }
        this.tell(arrival);
        return false;
      },
      fatal: (error) => {
        this.refusedStatus = (error as { status?: number }).status ?? 0;
        this.broadcast({ type: "refused", status: this.refusedStatus });
      },
    });
    const timer = setInterval(() => {
      if (Date.now() - lastSeenAt > SILENT_MS) void this.pollHealth();
    }, HEALTH_POLL_MS);
    controller.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** Polls the health endpoint while the stream is broken, silent or refused. */
  private async pollHealth(): Promise<void> {
    this.setReachable(await isServerThere());
  }

  private setReachable(serverReachable: boolean): void {
    if (serverReachable === this.serverReachable) return;
    this.serverReachable = serverReachable;
    this.broadcast({ type: "reachable", serverReachable });
  }
}
