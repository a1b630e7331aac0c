/** One event of the stream, as the server sends it. */
export interface ServerEvent {
  id: number;
  stream: string;
  kind: string;
  data: Record<string, unknown>;
  at: string;
}

/** How many events are kept to be shown. */
export const BUFFER_SIZE = 500;
