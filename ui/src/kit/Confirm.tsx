/** Asks before something is done that cannot be taken back; Escape and Cancel do nothing. */
import { type ReactNode, useEffect, useId, useRef } from "react";
import { Trouble } from "./kit";

interface Props {
  title: string;
  act: string;
  danger?: boolean;
  busy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
  children?: ReactNode;
}

export function Confirm({ title, act, danger = false, busy, error, onConfirm, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  useEffect(() => {
    // The browser keeps the keyboard inside, and gives it back to the button that opened this.
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog ref={dialog} className="card confirm" aria-labelledby={name} onClose={onClose}>
      <h2 id={name}>{title}</h2>
      {children}
      {error != null && <Trouble error={error} />}
      <div className="row ends">
        {/* biome-ignore lint/a11y/noAutofocus: what changes nothing comes first */}
        <button type="button" autoFocus onClick={onClose}>
          Cancel
        </button>
        <button type="button" className={danger ? "danger" : "primary"} disabled={busy} onClick={onConfirm}>
          {act}
        </button>
      </div>
    </dialog>
  );
}
