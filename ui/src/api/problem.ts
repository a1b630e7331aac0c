/** What went wrong, as the server says it (RFC 9457): a code, a sentence, what to do next. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly code = "page.failed",
    readonly hint = "",
    readonly status = 0,
    /** What else the server says, by name. */
    readonly document: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

/** Without words: it comes from a worker too, which speaks no language; `Reason` has them. */
export const offline = () => new Problem("", "page.offline");

export async function problemOf(answer: Response): Promise<Problem> {
  const body: unknown = await answer.json().catch(() => null);
  const said = (body ?? {}) as { code?: string; detail?: unknown; title?: string; hint?: string };
  const message = typeof said.detail === "string" ? said.detail : said.title;
  return new Problem(
    message ?? String(answer.status),
    said.code ?? (message ? undefined : "page.no_answer"),
    said.hint,
    answer.status,
    said,
  );
}
