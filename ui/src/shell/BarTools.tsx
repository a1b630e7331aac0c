/** The small buttons of the rail. What they open is fetched when they are pointed at. */
import { t } from "@lingui/core/macro";
import { type Ref, Suspense, useRef, useState } from "react";
import { api, type Me } from "../api/client";
import { useApprovals } from "../approvals/useApprovals";
import { lazyPart } from "../kit/part";
import { Icon } from "./Icon";
import { useNotices } from "./notices";
import type { IconName } from "./rooms";

const loadInbox = () => import("./Inbox");
const loadMenu = () => import("./AccountMenu");
const Inbox = lazyPart(async () => ({ default: (await loadInbox()).Inbox }));
const AccountMenu = lazyPart(async () => ({ default: (await loadMenu()).AccountMenu }));

interface ButtonProps {
  icon: IconName;
  label: string;
  onClick: () => void;
  onNear?: () => void;
  count?: number;
  opens?: "menu" | "dialog";
  open?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function IconButton({ icon, label, onClick, onNear, count = 0, opens = "dialog", open, ref }: ButtonProps) {
  return (
    <button
      ref={ref}
      type="button"
      className="plain tool"
      title={label}
      aria-label={count ? t`${label}, ${count} new` : label}
      aria-haspopup={opens}
      aria-expanded={open}
      onPointerEnter={onNear}
      onFocus={onNear}
      onClick={onClick}
    >
      <Icon name={icon} />
      {count > 0 && <span className="count">{count}</span>}
    </button>
  );
}

export function InboxButton({ me }: { me: Me }) {
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const approvals = useApprovals(me.permissions.includes("approval:read")).data ?? [];
  const { notices, unseen } = useNotices(approvals);
  return (
    <>
      <IconButton
        ref={button}
        icon="bell"
        label={t`Inbox`}
        count={unseen}
        open={open}
        onNear={() => void loadInbox()}
        onClick={() => setOpen(true)}
      />
      {open && (
        <Suspense>
          <Inbox notices={notices} button={button} onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}

export function AccountButton({ me, onShortcuts }: { me: Me; onShortcuts: () => void }) {
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  return (
    <>
      <IconButton
        ref={button}
        icon="face"
        label={t`Settings`}
        opens="menu"
        open={open}
        onNear={() => void loadMenu()}
        onClick={() => setOpen(true)}
      />
      {open && (
        <Suspense>
          <AccountMenu
            me={me}
            button={button}
            onClose={() => setOpen(false)}
            onShortcuts={onShortcuts}
            onLeave={() => void leave()}
          />
        </Suspense>
      )}
    </>
  );
}

export async function leave(): Promise<void> {
  await api.POST("/api/logout");
  sessionStorage.clear();
  location.assign("/");
}
