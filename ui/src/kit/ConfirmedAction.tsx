/** A button for what cannot be taken back: it asks first, and shows what went wrong. */
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, Suspense, useState } from "react";
import { lazyPart, prefetch } from "./part";

const load = () => import("./Confirm");
const Confirm = lazyPart(async () => ({ default: (await load()).Confirm }));

interface Props {
  /** On the button; `about` follows for those who cannot see its row. */
  label: string;
  about?: string;
  title: string;
  confirmLabel: string;
  action: () => Promise<unknown>;
  onSuccess?: () => void;
  onSettled?: () => unknown;
  children: ReactNode;
}

export function ConfirmedAction({ label, about, title, confirmLabel, action, onSuccess, onSettled, children }: Props) {
  const [asking, setAsking] = useState(false);
  const run = useMutation({
    mutationFn: action,
    onSuccess: () => {
      setAsking(false);
      onSuccess?.();
    },
    onSettled,
  });
  return (
    <>
      <button
        type="button"
        className="danger"
        {...prefetch(load)}
        onClick={() => setAsking(true)}
        aria-label={about && `${label} ${about}`}
      >
        {label}
      </button>
      {asking && (
        <Suspense>
          <Confirm
            title={title}
            confirmLabel={confirmLabel}
            danger
            busy={run.isPending}
            error={run.error}
            onConfirm={() => run.mutate()}
            onClose={() => {
              setAsking(false);
              run.reset();
            }}
          >
            {children}
          </Confirm>
        </Suspense>
      )}
    </>
  );
}
