/** Where one can go: three rooms with their views; on a phone a bar for the rooms below, and the views of one above. */

import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useSyncExternalStore } from "react";
import type { Me } from "../api/client";
import { useApprovals } from "../approvals/useApprovals";
import { useHealth } from "../health/useHealth";
import { keysText } from "../kit/keys";
import { store, useStored } from "../kit/stored";
import { Boundary } from "../kit/Uncaught";
import { useLive } from "../live/Live";
import { useOptionalCall } from "../talk/ongoing";
import { AccountButton, IconButton, InboxButton } from "./BarTools";
import { Icon } from "./Icon";
import { ROOM_NAMES, ROOMS, type Room, VIEWS, type View } from "./rooms";

interface Props {
  me: Me;
  view: View | undefined;
  chatOpen: boolean;
  onChat: (() => void) | undefined;
  onPalette: () => void;
  onShortcuts: () => void;
}

const viewsOf = (room: Room, me: Me) =>
  VIEWS.filter((one) => one.room === room && !one.unlisted && me.permissions.includes(one.permission));

export function Rail({ me, view, chatOpen, onChat, onPalette, onShortcuts }: Props) {
  const { serverReachable } = useLive();
  const tabs = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another view is chosen
  useEffect(() => {
    const showChosen = () =>
      tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    // At once, and when a count that comes later pushes the chosen one away.
    const observer = new ResizeObserver(showChosen);
    for (const room of tabs.current?.children ?? []) observer.observe(room);
    return () => observer.disconnect();
  }, [view]);
  return (
    <header className="bar" data-room={view?.room}>
      <Link className="brand" to="/">
        <img src="/page/icon.svg" alt="" width="26" height="26" />
        Soundstage
      </Link>
      <nav aria-label={t`Views`}>
        <div className="tabs" ref={tabs}>
          {ROOMS.map((room) => (
            <RoomViews key={room} room={room} me={me} now={view} />
          ))}
        </div>
      </nav>
      {onChat && (
        <button type="button" className="plain chat-toggle" aria-expanded={chatOpen} onClick={onChat}>
          <Icon name="chat" />
          {t`Chat`} <kbd>{keysText("Ctrl J")}</kbd>
        </button>
      )}
      <span className={serverReachable ? "line" : "line lost"}>{serverReachable ? t`Live` : t`No connection`}</span>
      <div className="bar-tools">
        <IconButton icon="search" label={t`Go to, or do (${keysText("Ctrl K")})`} onClick={onPalette} />
        <Boundary fallback={null}>
          <InboxButton me={me} />
        </Boundary>
        <AccountButton me={me} onShortcuts={onShortcuts} />
      </div>
    </header>
  );
}

const MIN_FOLDED = 3;
const UNFOLDED_KEY = "soundstage.all-views";

function RoomViews({ room, me, now }: { room: Room; me: Me; now: View | undefined }) {
  const views = viewsOf(room, me).filter((one) => one.path !== "/chat");
  const folds = views.filter((one) => one.rare).length >= MIN_FOLDED;
  const unfolded = useStored(() => localStorage.getItem(UNFOLDED_KEY) === "true");
  return (
    <div className={folds && !unfolded ? "room folded" : "room"} data-room={room}>
      <span className="room-name">{i18n.t(ROOM_NAMES[room])}</span>
      {views.map((one) => (
        <Tab key={one.path} view={one} me={me} now={now} />
      ))}
      {folds && (
        <button
          type="button"
          className="plain fold"
          aria-expanded={unfolded}
          onClick={() => store(UNFOLDED_KEY, unfolded ? null : "true")}
        >
          <Icon name="more" />
          {unfolded ? t`Less` : t`More`}
        </button>
      )}
    </div>
  );
}

function Tab({ view, me, now }: { view: View; me: Me; now: View | undefined }) {
  const beside = now?.path === "/chat" && view.path === "/videos";
  return (
    <Link
      to={view.path}
      title={i18n.t(view.name)}
      className={view.rare ? "rare" : undefined}
      activeOptions={{ exact: view.path === "/" }}
      aria-current={now === view || beside ? "page" : undefined}
    >
      <Icon name={view.icon} />
      <span className="tab-name">{i18n.t(view.name)}</span>
      {view.path === "/talk" && <OnAir />}
      {view.path === "/run/approvals" && <Waiting me={me} />}
      {view.path === "/run/health" && <Unwell me={me} />}
    </Link>
  );
}

function OnAir() {
  const call = useOptionalCall();
  const phase = useSyncExternalStore(call?.subscribe ?? noCall, () => call?.view.phase ?? "off");
  return phase !== "off" && <span className="chip live">{t`On`}</span>;
}
const noCall = () => () => undefined;

function Waiting({ me }: { me: Me }) {
  const all = useApprovals(me.permissions.includes("approval:read")).data ?? [];
  return (
    <Count
      of={all.filter((one) => one.state === "pending").length}
      words={t({ message: "waiting", context: "count of approvals" })}
    />
  );
}

function Unwell({ me }: { me: Me }) {
  const checks = useHealth(me.permissions.includes("system:read")).data?.checks ?? [];
  return <Count of={checks.filter((one) => one.level !== "green").length} words={t`to look at`} />;
}

function Count({ of, words }: { of: number; words: string }) {
  if (of === 0) return null;
  return (
    <span className="count">
      {of}
      <span className="visually-hidden"> {words}</span>
    </span>
  );
}

const ROOM_ICONS = { Create: "film", Produce: "video", Run: "server" } as const;

/** On a phone alone: the first view of each room, and the conversation. */
export function Rooms({ me, view }: { me: Me; view: View | undefined }) {
  const isChat = view?.path === "/chat";
  return (
    <nav className="rooms" aria-label={t`Rooms`}>
      {ROOMS.map((room) => {
        const first = viewsOf(room, me).find((one) => one.path !== "/chat");
        if (!first) return null;
        return (
          <Link key={room} to={first.path} aria-current={view?.room === room && !isChat ? "true" : undefined}>
            <Icon name={ROOM_ICONS[room]} />
            {i18n.t(ROOM_NAMES[room])}
            {room === "Run" && <Waiting me={me} />}
          </Link>
        );
      })}
      {me.permissions.includes("chat:use") && (
        <Link to="/chat">
          <Icon name="chat" />
          {t`Chat`}
        </Link>
      )}
    </nav>
  );
}
