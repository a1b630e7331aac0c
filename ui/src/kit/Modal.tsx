/** A window over the page; Escape closes it, and the focus goes back to where it was. */
import type { ReactNode } from "react";
import { Dialog, Heading, ModalOverlay, Modal as Window } from "react-aria-components";
import "./overlays.css";

interface Props {
  title: string;
  onClose: () => void;
  /** A click beside it closes it too; not where something was typed or is decided. */
  dismissable?: boolean;
  size?: "usual" | "wide" | "palette";
  children: ReactNode;
}

export function Modal({ title, onClose, dismissable = false, size = "usual", children }: Props) {
  return (
    <ModalOverlay className="overlay" isOpen isDismissable={dismissable} onOpenChange={(open) => !open && onClose()}>
      <Window className={`window ${size}`}>
        <Dialog className="card dialog">
          <Heading slot="title" level={2} className={size === "palette" ? "visually-hidden" : undefined}>
            {title}
          </Heading>
          {children}
        </Dialog>
      </Window>
    </ModalOverlay>
  );
}
