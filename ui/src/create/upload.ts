/** Sends a file in pieces (tus 1.0.0, `/api/uploads`): after a cut it goes on with what the server has not got yet. */
import type { Asset } from "../api/client";
import { offline, Problem, problemOf } from "../api/problem";
import { pause } from "../live/sse";

const START = "/api/uploads";
const TUS = { "Tus-Resumable": "1.0.0" };
const MIN_PIECE_BYTES = 256 * 1024;
const MAX_PIECE_BYTES = 32 * 1024 * 1024;
/** A piece takes about so long, that progress is seen on a slow line and a fast one is not held up. */
const PIECE_MS = 1500;
const RETRY_MS = 500;
const MAX_RETRY_MS = 4000;
/** The server is away or restarts, another connection had the upload, or the line was silent. */
const PASSING = new Set([0, 408, 409, 502, 503, 504]);
const NOT_FOUND = 404;
const LATEST = "soundstage.upload";

export interface UploadProgress {
  sentBytes: number;
  /** The server does not answer; the upload goes on when it does. */
  waiting: boolean;
}

/** Returns the asset. Aborted, it tells the server to forget what has come. */
export async function upload(file: File, signal: AbortSignal, tell: (now: UploadProgress) => void): Promise<Asset> {
  let address = addressOf(file);
  let sentBytes = 0;
  // After a cut only the server knows what has come.
  let isKnown = false;
  let pieceBytes = MIN_PIECE_BYTES;
  let wait = RETRY_MS;
  try {
    for (;;) {
      try {
        const began = performance.now();
        const piece = isKnown ? file.slice(sentBytes, sentBytes + pieceBytes) : null;
        const answer = await (!address
          ? ask(START, {
              method: "POST",
              headers: { "Upload-Length": String(file.size), "Upload-Metadata": metadataOf(file) },
              signal,
            })
          : piece
            ? ask(address, { method: "PATCH", headers: pieceHeaders(sentBytes), body: piece, signal })
            : ask(address, { method: "HEAD", signal }));
        if (!address) {
          address = answer.headers.get("Location") ?? "";
          localStorage.setItem(LATEST, JSON.stringify([signatureOf(file), address]));
        } else if (piece) pieceBytes = nextSize(pieceBytes, performance.now() - began);
        isKnown = true;
        wait = RETRY_MS;
        sentBytes = Number(answer.headers.get("Upload-Offset"));
        tell({ sentBytes, waiting: false });
        const asset = answer.headers.get("Upload-Asset");
        if (asset) return (await (await ask(asset, { signal })).json()) as Asset;
      } catch (error) {
        const status = error instanceof Problem ? error.status : -1;
        // Forgotten by the server: from a day ago, of another person, or of a disk that is gone.
        if (status === NOT_FOUND && address && !isKnown) address = "";
        else if (signal.aborted || !PASSING.has(status)) throw error;
        else {
          isKnown = false;
          tell({ sentBytes, waiting: true });
          await pause(wait, signal);
          wait = Math.min(2 * wait, MAX_RETRY_MS);
        }
      }
    }
  } finally {
    if (signal.aborted && address)
      void fetch(address, { method: "DELETE", headers: TUS, keepalive: true }).catch(() => undefined);
    localStorage.removeItem(LATEST);
  }
}

async function ask(address: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(address, { ...init, headers: { ...TUS, ...init.headers } }).catch((error: unknown) => {
    if (init.signal?.aborted) throw error;
    throw offline();
  });
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

const pieceHeaders = (offset: number) => ({
  "Content-Type": "application/offset+octet-stream",
  "Upload-Offset": String(offset),
});

function metadataOf(file: File): string {
  const bytes = new TextEncoder().encode(file.name);
  return `filename ${btoa(String.fromCharCode(...bytes))}`;
}

function nextSize(bytes: number, tookMs: number): number {
  const next = tookMs < PIECE_MS ? 2 * bytes : tookMs > 3 * PIECE_MS ? bytes / 2 : bytes;
  return Math.min(MAX_PIECE_BYTES, Math.max(MIN_PIECE_BYTES, next));
}

const signatureOf = (file: File) => `${file.name} ${file.size} ${file.lastModified}`;

/** Of the file that was begun last: chosen once more after the page was closed, it goes on. */
function addressOf(file: File): string {
  const [signature, address] = JSON.parse(localStorage.getItem(LATEST) ?? "[]") as string[];
  return signature === signatureOf(file) && address ? address : "";
}
