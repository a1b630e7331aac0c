/** Approvals that wait, and films that are ready or have failed: what asks for a look. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { type RefObject, useEffect } from "react";
import { Dialog, Heading, Popover } from "react-aria-components";
import { callTitle } from "../kit/calls";
import { State } from "../kit/State";
import { moment } from "../videos/words";
import { markSeen, type Notice } from "./notices";
import "../kit/overlays.css";

interface Props {
  notices: readonly Notice[];
  button: RefObject<HTMLButtonElement | null>;
  onClose: () => void;
}

const STATES = { good: ["done", msg`ready`], bad: ["failed", msg`failed`], warn: ["pending", msg`waits`] } as const;

export function Inbox({ notices, button, onClose }: Props) {
  useEffect(() => markSeen(notices), [notices]);
  return (
    <Popover className="popover" triggerRef={button} isOpen onOpenChange={(open) => !open && onClose()} placement="top start">
      <Dialog className="inbox">
        <Heading slot="title" level={2}>{t`Inbox`}</Heading>
        {notices.length === 0 && (
          <p className="empty">{t`Nothing to look at. Videos that end and calls that wait for a yes stand here.`}</p>
        )}
        <ul>
          {notices.map((one) => (
            <li key={one.key}>
              <Link to={one.to} params={{ id: one.id }} onClick={onClose}>
                <span>{one.call ? t`${callTitle(one.call)} waits for approval` : one.words}</span>
                <time className="quiet" dateTime={one.at}>
                  {moment(one.at)}
                </time>
                <State of={STATES[one.tone][0]}>{i18n.t(STATES[one.tone][1])}</State>
              </Link>
            </li>
          ))}
        </ul>
      </Dialog>
    </Popover>
  );
}
