/** Talk: one face, one button. The conversation beside it shows what was said, and takes written sentences. */
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useRef, useState } from "react";
import { PresenterButton } from "../create/PresenterPicker";
import { PERSONAS, PRESENTER, usable, usePersonas } from "../create/usePersonas";
import { Reason } from "../kit/kit";
import { lazyPart, prefetch } from "../kit/part";
import { Select } from "../kit/Select";
import { useFrames } from "../kit/useFrames";
import { useSession } from "../shell/session";
import { personWords, REFUSED, stateOf, WORDS } from "../sound/state";
import type { CallView } from "../sound/view";
import { call, useCall } from "./call";
import "../chat/chat.css";
import "../create/create.css";
import "./talk.css";
import { Measures, needsVideo, Presenter } from "./Presenter";
import { Recording } from "./Recording";
import { useDevices } from "./useDevices";

const FIRST = "nova";

export function TalkView() {
  const view = useCall();
  const session = useSession();
  const personas = usePersonas().data;
  const [chosen, setChosen] = useState(() => localStorage.getItem(PRESENTER) ?? FIRST);
  const entry = usable(personas).find((one) => one.id === chosen) ?? usable(personas)[0];
  const presenter = entry?.id ?? chosen;
  const isOn = view.phase !== "off";
  const queries = useQueryClient();
  /** Whoever clicks before the presenters are known waits for them. */
  const asksForVideo = async (id: string) => {
    const all = await queries.ensureQueryData(PERSONAS).catch(() => []);
    return needsVideo(all.find((one) => one.id === id));
  };

  const choose = (id: string) => {
    localStorage.setItem(PRESENTER, id);
    setChosen(id);
    void call.changePresenter(id, needsVideo(personas?.find((one) => one.id === id)));
  };
  return (
    <div className="talk" data-state={stateOf(view)}>
      <div className="talk-head">
        <h1>{t`Talk`}</h1>
        <Recording view={view} />
        <PresenterButton value={presenter} fallback={FIRST} label={t`Who answers`} talks onChange={choose} />
      </div>
      <div className="talk-stage">
        <Ring>
          <Presenter entry={entry} video={view.video} />
          {view.measures && <Measures />}
          {view.speaking && (
            <button type="button" className="talk-interrupt" onClick={() => call.interrupt()}>{t`Interrupt`}</button>
          )}
        </Ring>
        <p className="talk-name">{entry?.persona?.name}</p>
        <p className="talk-state" role="status">
          {i18n.t(WORDS[stateOf(view)])}
        </p>
      </div>
      <Captions view={view} name={entry?.persona?.name ?? ""} />
      <Notices view={view} />
      <div className="talk-controls">
        <button type="button" className="side" aria-pressed={view.muted} disabled={!isOn} onClick={() => call.mute(!view.muted)}>
          <Icon name={view.muted ? "muted" : "microphone"} />
          {view.muted ? t`Muted` : t`Mute`}
        </button>
        {isOn ? (
          <MainButton view={view} />
        ) : (
          <StartButton onStart={() => void call.start(presenter, session, asksForVideo(presenter))} />
        )}
        <Settings view={view} />
      </div>
      <Level shown={isOn && view.microphone === "on"} />
    </div>
  );
}

/** Grows with what is heard, of either side; drawn without React, for each picture. */
function Ring({ children }: { children: React.ReactNode }) {
  const ring = useRef<HTMLDivElement>(null);
  useFrames(() => ring.current?.style.setProperty("--level", Math.max(call.outputLevel, 0.7 * call.inputLevel).toFixed(3)));
  return (
    <div ref={ring} className="talk-ring">
      {children}
    </div>
  );
}

function StartButton({ onStart }: { onStart: () => void }) {
  return (
    <button type="button" className="talk-button" aria-label={t`Start talking`} onClick={onStart}>
      <Icon name="microphone" />
    </button>
  );
}

/** Ends the call; with “hold to talk” it opens the microphone for as long as it is held. */
function MainButton({ view }: { view: CallView }) {
  if (!view.holdToTalk || view.microphone !== "on")
    return (
      <button type="button" className="talk-button end" aria-label={t`Stop talking`} onClick={() => void call.hangUp()}>
        <Icon name="end" />
      </button>
    );
  const up = () => call.hold(false);
  return (
    <button
      type="button"
      className="talk-button hold"
      aria-label={t`Hold to talk`}
      aria-pressed={view.held}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        call.hold(true);
      }}
      onPointerUp={up}
      onPointerCancel={up}
      onBlur={up}
      onKeyDown={(event) => {
        if (event.key !== " " && event.key !== "Enter") return;
        event.preventDefault();
        call.hold(true);
      }}
      onKeyUp={up}
      onContextMenu={(event) => event.preventDefault()}
    >
      <Icon name="microphone" />
    </button>
  );
}

/** What both sides say, as it is said. */
function Captions({ view, name }: { view: CallView; name: string }) {
  const isOn = view.phase !== "off";
  const meant = (isOn && view.unclear) || [];
  return (
    <div className="captions">
      <p className="of-person">
        {isOn && personWords(view)}
        {isOn && view.person && !view.personDone && view.unclear === null && <span className="thinking" />}
      </p>
      {meant.length > 0 && (
        <p className="row meant">
          {meant.map((sentence) => (
            <button key={sentence} type="button" onClick={() => call.say(sentence)}>
              {sentence}
            </button>
          ))}
          <button type="button" className="plain" onClick={() => call.drop()}>
            {meant.length > 1 ? t`Neither` : t({ message: "No", context: "answer to what was said" })}
          </button>
        </p>
      )}
      <p className="of-agent">
        {view.caption && (
          <>
            <span className="visually-hidden">{name}: </span>
            <Words view={view} />
          </>
        )}
      </p>
    </div>
  );
}

/** The sentence that is heard, with the words that are still to come in a quieter colour. */
function Words({ view }: { view: CallView }) {
  const [spoken, setSpoken] = useState(0);
  const caption = view.caption;
  useEffect(() => {
    setSpoken(0);
    let frame = 0;
    const follow = () => {
      const cue = call.cues.find((one) => one.caption === caption);
      const at = cue ? (call.heardAt - cue.startS) * 1000 : Number.POSITIVE_INFINITY;
      setSpoken(caption?.words.filter((one) => one.start_ms <= at).length ?? 0);
      if (cue) frame = requestAnimationFrame(follow);
    };
    follow();
    return () => cancelAnimationFrame(frame);
  }, [caption]);
  if (!caption) return null;
  if (caption.words.length === 0) return caption.text;
  return caption.words.map((one, place) => (
    <span key={place} className={place < spoken ? undefined : "to-come"}>
      {one.text}{" "}
    </span>
  ));
}

function Notices({ view }: { view: CallView }) {
  const refused = view.phase === "off" ? undefined : REFUSED[view.microphone];
  return (
    <div className="talk-notices">
      {view.error && (
        <div className="problem" role="alert">
          <Reason of={view.error} />
        </div>
      )}
      {refused && (
        <p className="asks" role="status">
          <span>
            <strong>{i18n.t(refused[0])}</strong> {i18n.t(refused[1]).replaceAll("`", "")}
          </span>
        </p>
      )}
      {view.soundBlocked && view.phase === "on" && (
        <p className="row">
          <button type="button" className="primary" onClick={() => void call.resume()}>{t`Turn the sound on`}</button>
        </p>
      )}
    </div>
  );
}

const load = () => import("../kit/Modal");
const Modal = lazyPart(async () => ({ default: (await load()).Modal }));

function Settings({ view }: { view: CallView }) {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  // The choices of the last visit.
  useEffect(() => {
    void call.chooseMicrophone(localStorage.getItem(deviceKey("microphone")) ?? "").catch(() => undefined);
    void call.chooseLoudspeaker(localStorage.getItem(deviceKey("loudspeaker")) ?? "").catch(() => undefined);
  }, []);
  return (
    <>
      <button type="button" className="side" aria-haspopup="dialog" {...prefetch(load)} onClick={() => setOpen(true)}>
        <Icon name="devices" />
        {t`Devices`}
      </button>
      {open && (
        <Suspense>
          <Modal title={t`Devices`} dismissable onClose={close}>
            <Devices view={view} />
            <label className="row">
              <input type="checkbox" checked={view.holdToTalk} onChange={(event) => call.setHoldToTalk(event.target.checked)} />
              {t`Hold the button to talk`}
            </label>
            <label className="row">
              <input type="checkbox" checked={view.measures} onChange={(event) => call.setMeasures(event.target.checked)} />
              {t`Show measurements over the face`}
            </label>
            <p className="quiet">{t`Without headphones the browser removes what the loudspeaker plays from your sound.`}</p>
            <div className="row ends">
              {view.phase !== "off" && (
                <button
                  type="button"
                  onClick={() => {
                    close();
                    void call.hangUp();
                  }}
                >
                  {t`Stop talking`}
                </button>
              )}
              <button type="button" className="primary" onClick={close}>{t`Close`}</button>
            </div>
          </Modal>
        </Suspense>
      )}
    </>
  );
}

function Devices({ view }: { view: CallView }) {
  const { microphones, loudspeakers } = useDevices(view.microphone === "on");
  return (
    <>
      <DeviceChoice kind="microphone" label={t`Microphone`} devices={microphones} choose={(id) => call.chooseMicrophone(id)} />
      {call.canChooseLoudspeaker && (
        <DeviceChoice
          kind="loudspeaker"
          label={t`Loudspeaker`}
          devices={loudspeakers}
          choose={(id) => call.chooseLoudspeaker(id)}
        />
      )}
    </>
  );
}

const deviceKey = (kind: Choice["kind"]) => `soundstage.${kind}`;

interface Choice {
  kind: "microphone" | "loudspeaker";
  label: string;
  devices: { id: string; name: string }[];
  choose: (id: string) => Promise<void>;
}

function DeviceChoice({ kind, label, devices, choose }: Choice) {
  const key = deviceKey(kind);
  const [value, setValue] = useState(() => localStorage.getItem(key) ?? "");
  const shown = devices.some((one) => one.id === value) ? value : "";
  return (
    <Select
      className="stack tight"
      label={label}
      value={shown}
      onChange={(chosen) => {
        localStorage.setItem(key, chosen);
        setValue(chosen);
        void choose(chosen).catch(() => undefined);
      }}
      none={t`As the browser chooses`}
      of={devices.filter((one) => one.id !== "default").map((one) => [one.id, one.name])}
    />
  );
}

/** How loud the person is heard. */
function Level({ shown }: { shown: boolean }) {
  const bar = useRef<HTMLMeterElement>(null);
  useFrames(() => {
    if (bar.current) bar.current.value = call.inputLevel;
  }, shown);
  return (
    <p className="talk-level" data-shown={shown}>
      {shown && <meter ref={bar} aria-label={t`Level of your microphone`} min={0} max={1} />}
    </p>
  );
}

const PATHS = {
  microphone: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM6 11v1a6 6 0 0 0 12 0v-1M12 18v3",
  muted: "M9 9v3a3 3 0 0 0 5 2.2M15 11V6a3 3 0 0 0-5.9-.8M6 11v1a6 6 0 0 0 9.5 4.9M18 12v-1M12 18v3M4 4l16 16",
  end: "M7 7h10v10H7Z",
  devices: "M4 8h9M17 8h3M4 16h3M11 16h9M15 6v4M9 14v4",
};

function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
