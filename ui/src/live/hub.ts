/** The one stream of events of a browser, shared out to its tabs. It runs in a SharedWorker; where there is none,
 * in the page itself, which then closes it while it is hidden: a browser opens six connections to a server. */
import type { Happening } from "./happening";
import { follow } from "./sse";

/** `fresh`: it happened after the page's first questions, so that what they answered may be out of date. */
export interface Arrival {
  event: Happening;
  fresh: boolean;
}

export type HubMessage =
  | { type: "start"; arrivals: Arrival[]; there: boolean; refused: number }
  | { type: "event"; arrival: Arrival }
  | { type: "there"; there: boolean }
  | { type: "refused"; status: number };

export type Tell = (news: HubMessage) => void;

export const MOST_LINES = 500;
/** Older than the stream by this much is no news: the page's own first questions are younger than that. */
const FRESH_MS = 5000;
const LOOK_MS = 3000;

export class EventHub {
  private tabs = new Set<Tell>();
  private lines: { arrival: Arrival; arrivedAt: number }[] = [];
  private principal = "";
  private there = true;
  private refused = 0;
  private running: AbortController | null = null;
  private last = "";

  /** Another person has logged in since: what the one before could read is not for them. */
  join(tell: Tell, principal: string): void {
    if (principal !== this.principal || this.refused) {
      this.stop();
      this.lines = [];
      this.last = "";
      this.principal = principal;
    }
    this.tabs.add(tell);
    this.start();
    const now = Date.now();
    const arrivals = this.lines.map(({ arrival, arrivedAt }) => ({
      event: arrival.event,
      fresh: arrival.fresh && now - arrivedAt < FRESH_MS,
    }));
    tell({ type: "start", arrivals, there: this.there, refused: this.refused });
  }

  leave(tell: Tell): void {
    this.tabs.delete(tell);
    if (this.tabs.size === 0) this.stop();
  }

  private tell(news: HubMessage): void {
    for (const tell of this.tabs) tell(news);
  }

  private stop(): void {
    this.running?.abort();
    this.running = null;
  }

  private start(): void {
    if (this.running) return;
    const ended = new AbortController();
    this.running = ended;
    this.refused = 0;
    // What the server's clock showed when the stream was first opened: the browser's may be hours off.
    let opened: number | undefined;
    const resumed = this.last !== "";
    void follow("/api/events?recent=200", ended.signal, {
      after: this.last,
      opened: (answer) => {
        opened ??= Date.parse(answer.headers.get("Date") ?? "") || Date.now();
      },
      message: (one) => {
        this.last = one.id || this.last;
        const event = JSON.parse(one.data) as Happening;
        const arrival = { event, fresh: resumed || opened === undefined || Date.parse(event.at) >= opened - FRESH_MS };
        // Frames that are drawn are no lines of the log, and there are many of them.
        if (event.kind !== "render.progress")
          this.lines = [...this.lines.slice(1 - MOST_LINES), { arrival, arrivedAt: Date.now() }];
        this.tell({ type: "event", arrival });
        return false;
      },
      fatal: (error) => {
        this.refused = (error as { status?: number }).status ?? 0;
        this.tell({ type: "refused", status: this.refused });
      },
    });
    const timer = setInterval(() => void this.look(), LOOK_MS);
    ended.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** Asks whether the server is there; a stream that is silent does not say so. */
  private async look(): Promise<void> {
    const there = await fetch("/api/health", { cache: "no-store" })
      .then((answer) => answer.status < 502)
      .catch(() => false);
    if (there === this.there) return;
    this.there = there;
    this.tell({ type: "there", there });
  }
}
