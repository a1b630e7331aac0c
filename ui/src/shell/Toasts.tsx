/** Notices that come while the page is open, for a few seconds; the inbox has them for longer. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import {
  Text,
  UNSTABLE_Toast as Toast,
  UNSTABLE_ToastContent as ToastContent,
  UNSTABLE_ToastList as ToastList,
  UNSTABLE_ToastQueue as ToastQueue,
  UNSTABLE_ToastRegion as ToastRegion,
} from "react-aria-components";
import type { Notice } from "./notices";
import "../kit/overlays.css";

const SHOWN_MS = 7000;
const queue = new ToastQueue<Notice>({ maxVisibleToasts: 3 });

export function Toasts({ notices, onShown }: { notices: readonly Notice[]; onShown: () => void }) {
  useEffect(() => {
    for (const one of notices) queue.add(one, { timeout: SHOWN_MS });
    if (notices.length > 0) onShown();
  }, [notices, onShown]);
  return (
    <ToastRegion queue={queue} className="toasts">
      <ToastList<Notice>>
        {({ toast }) => (
          <Toast toast={toast} className={`toast ${toast.content.tone}`}>
            <ToastContent>
              <Text slot="title">{toast.content.words}</Text>
            </ToastContent>
            <Link
              className="button"
              to={toast.content.to}
              params={{ id: toast.content.id }}
              onClick={() => queue.close(toast.key)}
            >
              {t`Look`}
            </Link>
            <button type="button" className="plain icon" aria-label={t`Close`} onClick={() => queue.close(toast.key)}>
              ×
            </button>
          </Toast>
        )}
      </ToastList>
    </ToastRegion>
  );
}
