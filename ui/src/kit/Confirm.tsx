/** Asks before something is done that cannot be taken back; Escape and Cancel do nothing. */
import { t } from "@lingui/core/macro";
import type { ReactNode } from "react";
import { ErrorNotice } from "./kit";
import { Modal } from "./Modal";

interface Props {
  title: string;
  confirmLabel: string;
  danger?: boolean;
  busy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
  children?: ReactNode;
}

export function Confirm({ title, confirmLabel, danger = false, busy, error, onConfirm, onClose, children }: Props) {
  return (
    <Modal title={title} onClose={onClose}>
      {children}
      {error != null && <ErrorNotice error={error} />}
      <div className="row ends">
        {/* biome-ignore lint/a11y/noAutofocus: what changes nothing comes first */}
        <button type="button" autoFocus onClick={onClose}>{t`Cancel`}</button>
        <button type="button" className={danger ? "danger" : "primary"} disabled={busy} onClick={onConfirm}>
          {confirmLabel}
        </button>
      </div>
    </Modal>
  );
}
