/** One event of the stream, as the server sends it. */
export interface Happening {
  id: number;
  stream: string;
  kind: string;
  data: Record<string, unknown>;
  at: string;
}
