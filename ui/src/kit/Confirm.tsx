/** Asks before something is done that cannot be taken back; Escape and Cancel do nothing. */
import { t } from "@lingui/core/macro";
import type { ReactNode } from "react";
import { Form, FormError } from "./Form";
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
      <Form className="stack" error={error} onSubmit={onConfirm}>
        {children}
        <FormError />
        <div className="row ends">
          {/* biome-ignore lint/a11y/noAutofocus: what changes nothing comes first */}
          <button type="button" autoFocus onClick={onClose}>{t`Cancel`}</button>
          <button type="submit" className={danger ? "danger" : "primary"} disabled={busy}>
            {confirmLabel}
          </button>
        </div>
      </Form>
    </Modal>
  );
}
