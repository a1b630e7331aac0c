/** How far an upload is, that it waits for the server, or why it failed. */
import { t } from "@lingui/core/macro";
import { ErrorNotice } from "../kit/kit";
import type { useUpload } from "./useAssets";

export function UploadNote({ of }: { of: ReturnType<typeof useUpload> }) {
  const file = of.variables;
  if (of.error) return <ErrorNotice error={of.error} />;
  if (!of.isPending || !file) return null;
  const { name, size } = file;
  return (
    <div className="stack">
      <progress max={1} value={of.progress.sentBytes / Math.max(1, size)} aria-label={t`Uploading ${name}`} />
      <p className="quiet" role="status">
        {of.progress.waiting && t`The server does not answer. The upload goes on by itself as soon as it is back.`}
      </p>
    </div>
  );
}
