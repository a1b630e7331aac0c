/** The frame of the page: the rail with its three rooms, the chosen view, and the conversation beside it. */

import { t } from "@lingui/core/macro";
import { useLingui } from "@lingui/react";
import { Navigate, Outlet, useLocation, useNavigate, useParams } from "@tanstack/react-router";
import { Suspense, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { onSuggestion } from "../chat/suggestion";
import { lazyPart } from "../kit/part";
import { Boundary } from "../kit/Uncaught";
import { onLiveEvent, useLive } from "../live/Live";
import { leave } from "./BarTools";
import { ChatEdge } from "./ChatEdge";
import { useDock, WIDE } from "./dock";
import { usePrincipal } from "./me";
import { NoRight } from "./NoView";
import { type Notice, noticeOf } from "./notices";
import { Rail, Rooms } from "./Rail";
import { VIEWS, viewAt } from "./rooms";
import { commandOf } from "./shortcuts";

const ChatPane = lazyPart(async () => ({ default: (await import("../chat/ChatPane")).ChatPane }));
const Palette = lazyPart(async () => ({ default: (await import("./Palette")).Palette }));
const Shortcuts = lazyPart(async () => ({ default: (await import("./Shortcuts")).Shortcuts }));
const Toasts = lazyPart(async () => ({ default: (await import("./Toasts")).Toasts }));
const focusSentence = () => document.getElementById("utterance")?.focus();

export function Frame() {
  // Another language draws all of it anew.
  const { i18n } = useLingui();
  const me = usePrincipal();
  const { serverReachable } = useLive();
  const navigate = useNavigate();
  const path = useLocation({ select: (location) => location.pathname });
  const { slug } = useParams({ strict: false });
  const may = (permission: string) => me.permissions.includes(permission);
  const view = viewAt(path);
  const room = view?.room ?? "Produce";
  const dock = useDock(room);
  const mayChat = may("chat:use");
  // The addresses of the conversation show it in any case.
  const withChat = view?.path === "/chat" || view?.path === "/talk";
  const chatOpen = mayChat && (withChat || dock.open);
  const scroller = useRef<HTMLElement>(null);
  const focusOnOpen = useRef(false);
  const [overlay, setOverlay] = useState<"palette" | "shortcuts" | null>(null);
  const closeOverlay = () => setOverlay(null);
  const [wasOpened, setWasOpened] = useState(chatOpen);
  if (chatOpen && !wasOpened) setWasOpened(true);

  useEffect(() => {
    if (!slug) document.title = view && path !== "/chat" && path !== "/" ? `${i18n.t(view.name)} · Soundstage` : "Soundstage";
  }, [view, path, slug, i18n]);
  // The wall of videos keeps its own place.
  const place = path.startsWith("/videos") ? "/videos" : path;
  // Another view begins at its top.
  useLayoutEffect(() => {
    if (place !== "/videos") scroller.current?.scrollTo(0, 0);
  }, [place]);

  const { setOpen } = dock;
  const showChat = () => {
    focusOnOpen.current = true;
    if (!matchMedia(WIDE).matches) void navigate({ to: "/chat" });
    else if (!chatOpen) setOpen(true);
    focusSentence();
  };
  const toggleChat = () => {
    if (chatOpen && !withChat && matchMedia(WIDE).matches) setOpen(false);
    else showChat();
  };
  const actions = useRef({ showChat, toggleChat });
  actions.current = { showChat, toggleChat };
  useEffect(() => onSuggestion(() => actions.current.showChat()), []);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const command = commandOf(event);
      if (!command || (command === "chat" && !mayChat)) return;
      event.preventDefault();
      if (command === "chat") actions.current.toggleChat();
      else setOverlay(command);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [mayChat]);
  useEffect(() => {
    if (view?.path === "/chat") focusSentence();
  }, [view]);

  if (path === "/" && !may("project:create")) {
    const first = VIEWS.find((one) => one.room !== "Create" && may(one.permission));
    if (first) return <Navigate to={first.path} replace />;
  }
  return (
    <div className="app">
      <button type="button" className="skip" onClick={() => scroller.current?.focus()}>{t`Skip to the view`}</button>
      <Rail
        me={me}
        view={view}
        chatOpen={chatOpen}
        onChat={mayChat ? toggleChat : undefined}
        onPalette={() => setOverlay("palette")}
        onShortcuts={() => setOverlay("shortcuts")}
      />
      {!serverReachable && (
        <p className="banner" role="status">
          {t`The server does not answer. What you see may be old; the page goes on by itself as soon as it is back.`}
        </p>
      )}
      <main
        className="panes"
        data-view={view?.path.slice(1)}
        data-room={room}
        data-chat={chatOpen ? "open" : "closed"}
        style={{ "--chat-width": `${dock.width}px` } as React.CSSProperties}
      >
        <section
          id="view"
          className="view"
          ref={scroller}
          tabIndex={-1}
          aria-label={view?.path === "/chat" ? t`Videos` : view ? i18n.t(view.name) : "Soundstage"}
        >
          {view && !may(view.path === "/chat" ? "render:read" : view.permission) ? (
            <NoRight name={i18n.t(view.name)} permission={view.permission} />
          ) : (
            <Boundary key={place}>
              <Suspense fallback={<p className="pending">{t`One moment`}</p>}>
                <Outlet />
              </Suspense>
            </Boundary>
          )}
        </section>
        {chatOpen && <ChatEdge width={dock.width} onChange={dock.setWidth} />}
        {wasOpened && (
          <div className="dock" hidden={!chatOpen}>
            <Boundary>
              <Suspense fallback={<p className="pending">{t`One moment`}</p>}>
                <ChatPane
                  takesFocus={focusOnOpen.current || path === "/chat"}
                  onClose={withChat ? undefined : () => setOpen(false)}
                />
              </Suspense>
            </Boundary>
          </div>
        )}
      </main>
      <Rooms me={me} view={view} />
      <Suspense>
        {overlay === "palette" && (
          <Palette
            me={me}
            acts={[
              ...(mayChat ? [{ id: "chat", name: t`Open or close the chat`, keys: "Ctrl J", act: toggleChat }] : []),
              { id: "shortcuts", name: t`Show the keys`, keys: "?", act: () => setOverlay("shortcuts") },
              ...(me.kind === "session" ? [{ id: "leave", name: t`Log out`, act: () => void leave() }] : []),
            ]}
            onClose={closeOverlay}
          />
        )}
        {overlay === "shortcuts" && <Shortcuts onClose={closeOverlay} />}
        <NoticeToasts path={path} />
      </Suspense>
    </div>
  );
}

/** A film that has ended is told of where it is not shown. */
function NoticeToasts({ path }: { path: string }) {
  const [notices, setNotices] = useState<readonly Notice[]>([]);
  const [wasTold, setWasTold] = useState(false);
  const here = useRef(path);
  here.current = path;
  useEffect(
    () =>
      onLiveEvent((event) => {
        const notice = noticeOf(event);
        if (!notice || SHOW_FILMS.some((one) => here.current.startsWith(one))) return;
        setWasTold(true);
        setNotices((all) => [...all, notice]);
      }),
    [],
  );
  const clear = useCallback(() => setNotices([]), []);
  return wasTold && <Toasts notices={notices} onShown={clear} />;
}

/** Views in which films end before one's eyes. */
const SHOW_FILMS = ["/chat", "/talk", "/videos", "/studio/"];
