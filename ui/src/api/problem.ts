/** What went wrong, as the server says it (RFC 9457): a code, a sentence, what to do next. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly code = "page.failed",
    readonly hint = "",
    readonly status = 0,
  ) {
    super(message);
  }
}

export const offline = () => new Problem("The server does not answer.", "page.offline", "Is `soundstage up` still running?");

export async function problemOf(answer: Response): Promise<Problem> {
  const body: unknown = await answer.json().catch(() => null);
  const said = (body ?? {}) as { code?: string; detail?: unknown; title?: string; hint?: string };
  const message = typeof said.detail === "string" ? said.detail : said.title;
  return new Problem(message ?? `The server answered ${answer.status}.`, said.code, said.hint, answer.status);
}
