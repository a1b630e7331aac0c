/** Whether the server answers, and what time it is there; called by the page and by its worker. */

export const isServerThere = () =>
  fetch("/api/health", { cache: "no-store" })
    .then((answer) => answer.status < 502)
    .catch(() => false);

/** The time of the server, for what it ends or dates: the clock of this computer may be a day off. */
export async function serverNow(): Promise<number> {
  const answer = await fetch("/api/health", { cache: "no-store" }).catch(() => null);
  return Date.parse(answer?.headers.get("Date") ?? "") || Date.now();
}
