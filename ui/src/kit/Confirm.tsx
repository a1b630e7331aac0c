/** Asks before something is done that cannot be taken back; Escape and Cancel do nothing. */
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { ErrorNotice } from "./kit";

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
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  // A layout effect: close() runs while the dialog is still in the page, so the browser can return the focus.
  useLayoutEffect(() => {
    // The browser keeps the keyboard inside, and gives it back to the button that opened this.
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="card confirm"
      aria-labelledby={name}
      onCancel={(event) => {
        // React closes it: were the browser to close it first, a click before its close event would be lost.
        event.preventDefault();
        onClose();
      }}
      onClose={() => dialog.current && onClose()}
    >
      <h2 id={name}>{title}</h2>
      {children}
      {error != null && <ErrorNotice error={error} />}
      <div className="row ends">
        {/* biome-ignore lint/a11y/noAutofocus: what changes nothing comes first */}
        <button type="button" autoFocus onClick={onClose}>
          Cancel
        </button>
        <button type="button" className={danger ? "danger" : "primary"} disabled={busy} onClick={onConfirm}>
          {confirmLabel}
        </button>
      </div>
    </dialog>
  );
}
