/** `<soundstage-presenter session="/talk">`: a presenter who answers, on a page of another site.
 *
 * `session` is an address of the site's own server, which opens the voice session with its API key and returns what
 * `POST /api/voice/session` answered. docs/guide/embed.md has the whole. */
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { loadCharacter } from "../face/description";
import { type MovingFace, openFace } from "../face/face";
import { Call, type Opened } from "../sound/call";
import { faceSourceOf, personWords, REFUSED, stateOf, WORDS } from "../sound/state";
import type { CallError } from "../sound/view";
import STYLE from "./embed.css?inline";

const ANSWER = { session_id: "", url: "", token: "" };

/** What the site's server answered; throws CallError where that is no session. */
async function open(address: string, presenter: string, sessionId: string | null): Promise<Opened & { persona_id?: string }> {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ session_id: sessionId, ...(presenter && { agent_id: presenter }) }),
  });
  const body = await answer.json().catch(() => ({}));
  if (answer.ok && Object.keys(ANSWER).every((key) => typeof body[key] === "string"))
    return { ...body, ice_servers: [], video: false };
  throw {
    status: answer.status,
    code: typeof body.code === "string" ? body.code : "embed.no_session",
    message: typeof body.message === "string" ? body.message : t`This site opens no conversation.`,
    hint: typeof body.hint === "string" ? body.hint : "",
  } satisfies CallError & { status: number };
}

/** Fires `soundstage-change` with what is shown: phase, state, and what both sides say. */
class SoundstagePresenter extends HTMLElement {
  static observedAttributes = ["presenter", "poster", "model", "lang"];

  private readonly call: Call;
  private readonly parts: ReturnType<typeof build>;
  private face: MovingFace | null = null;
  private presenter = "";
  /** Presenter and model of the face. */
  private drawn = "";

  constructor() {
    super();
    this.parts = build(this.attachShadow({ mode: "open" }));
    this.call = new Call({
      open: async (presenter, sessionId) => {
        const opened = await open(this.getAttribute("session") ?? "", presenter, sessionId);
        void this.draw(this.getAttribute("presenter") ?? opened.persona_id ?? "");
        return opened;
      },
      // The server ends it with the socket.
      end: async () => undefined,
    });
    this.call.subscribe(() => this.show());
    const { main, mute, form, text, sound, stop } = this.parts;
    main.onclick = () => (this.isOn ? void this.call.hangUp() : void this.call.start(this.getAttribute("presenter") ?? "", ""));
    mute.onclick = () => this.call.mute(!this.call.view.muted);
    stop.onclick = () => this.call.interrupt();
    sound.onclick = () => void this.call.resume();
    form.onsubmit = (event) => {
      event.preventDefault();
      if (!text.value.trim() || !this.call.canSay) return;
      this.call.say(text.value.trim());
      text.value = "";
    };
  }

  connectedCallback(): void {
    void this.speakLanguage().catch(() => undefined);
    void this.draw(this.getAttribute("presenter") ?? "");
  }

  disconnectedCallback(): void {
    void this.call.hangUp();
    this.face?.close();
    this.face = null;
    this.drawn = "";
  }

  attributeChangedCallback(name: string): void {
    if (!this.isConnected) return;
    if (name === "lang") void this.speakLanguage().catch(() => undefined);
    else void this.draw(this.getAttribute("presenter") ?? this.presenter);
  }

  private get isOn(): boolean {
    return this.call.view.phase !== "off";
  }

  /** The language of the page around, where the presenter's own page speaks it. */
  private async speakLanguage(): Promise<void> {
    const language = (this.closest("[lang]")?.getAttribute("lang") ?? "en").toLowerCase().split("-", 1)[0];
    this.show();
    if (language !== "de") return;
    const { messages } = await import("../locales/de.po");
    i18n.loadAndActivate({ locale: language, messages });
    this.show();
  }

  private async draw(presenter: string): Promise<void> {
    const { canvas, poster } = this.parts;
    const address = this.getAttribute("poster");
    poster.hidden = !address;
    if (address) poster.src = address;
    this.presenter = presenter;
    const model = this.getAttribute("model") ?? "";
    const shown = `${presenter} ${model}`;
    if (shown === this.drawn) return;
    this.drawn = shown;
    const character = presenter && !model ? await loadCharacter(presenter).catch(() => null) : null;
    if (shown !== this.drawn || !this.isConnected) return;
    this.face?.close();
    this.face = null;
    canvas.hidden = true;
    if (!character && !model) return;
    // A canvas that was drawn on in one way is not drawn on in another.
    const fresh = canvas.cloneNode() as HTMLCanvasElement;
    canvas.replaceWith(fresh);
    this.parts.canvas = fresh;
    try {
      const face = await openFace(fresh, character, model, faceSourceOf(this.call));
      if (shown !== this.drawn || !this.isConnected) return face.close();
      this.face = face;
      fresh.hidden = false;
      fresh.setAttribute("aria-label", character?.name ?? presenter);
    } catch {
      // The poster stays to be seen.
    }
  }

  private show(): void {
    const { view } = this.call;
    const { box, state, said, meant, answer, problem, main, mute, stop, sound, form, text, send } = this.parts;
    const shown = stateOf(view);
    const refused = this.isOn ? REFUSED[view.microphone] : undefined;
    box.dataset.state = shown;
    state.textContent = i18n.t(WORDS[shown]);
    said.textContent = this.isOn ? personWords(view) : "";
    answer.textContent = (this.isOn && view.caption?.text) || "";
    problem.textContent = view.error ? `${view.error.message} ${view.error.hint}` : refused ? i18n.t(refused[0]) : "";
    problem.hidden = !problem.textContent;
    main.textContent = this.isOn ? t`Stop talking` : t`Start talking`;
    main.classList.toggle("first", !this.isOn);
    mute.hidden = !this.isOn || view.microphone !== "on";
    mute.textContent = view.muted ? t`Muted` : t`Mute`;
    mute.setAttribute("aria-pressed", String(view.muted));
    stop.hidden = !view.speaking;
    stop.textContent = t`Interrupt`;
    sound.hidden = !(view.soundBlocked && view.phase === "on");
    sound.textContent = t`Turn the sound on`;
    form.hidden = !this.isOn;
    text.placeholder = t`Or write it`;
    text.setAttribute("aria-label", text.placeholder);
    send.textContent = t`Send`;
    const choices = (this.isOn && view.unclear) || [];
    meant.hidden = choices.length === 0;
    meant.replaceChildren(...choices.map((one) => this.choice(one, () => this.call.say(one))));
    if (choices.length > 0) meant.append(this.choice(t`Neither`, () => this.call.drop()));
    const detail = { state: shown, person: view.person, caption: view.caption?.text ?? "", error: view.error?.code ?? "" };
    this.dispatchEvent(new CustomEvent("soundstage-change", { detail }));
  }

  private choice(words: string, choose: () => void): HTMLButtonElement {
    const button = document.createElement("button");
    button.textContent = words;
    button.onclick = choose;
    return button;
  }
}

function build(root: ShadowRoot) {
  const make = <Name extends keyof HTMLElementTagNameMap>(name: Name, of: object = {}): HTMLElementTagNameMap[Name] =>
    Object.assign(document.createElement(name), of);
  const parts = {
    box: make("div", { className: "box" }),
    stage: make("div", { className: "stage" }),
    poster: make("img", { alt: "", hidden: true }),
    canvas: make("canvas", { role: "img", hidden: true }),
    state: make("p", { className: "state", role: "status" }),
    said: make("p", { className: "said" }),
    meant: make("div", { className: "row", hidden: true }),
    answer: make("p", { className: "answer", ariaLive: "polite" }),
    problem: make("p", { className: "problem", role: "alert", hidden: true }),
    buttons: make("div", { className: "row" }),
    main: make("button", { type: "button", className: "first" }),
    mute: make("button", { type: "button", hidden: true }),
    stop: make("button", { type: "button", hidden: true }),
    sound: make("button", { type: "button", className: "first", hidden: true }),
    form: make("form", { hidden: true }),
    text: make("input", { maxLength: 4000, enterKeyHint: "send" }),
    send: make("button", { type: "submit" }),
  };
  const { box, stage, poster, canvas, state, said, meant, answer, problem, buttons, main, mute, stop, sound, form, text, send } =
    parts;
  stage.append(poster, canvas);
  buttons.append(main, mute, stop, sound);
  form.append(text, send);
  box.append(stage, state, said, meant, answer, problem, buttons, form);
  // Sheets of scripts pass the content policy of any page; elements <style> do not.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  root.append(box);
  return parts;
}

// English stands in the code; another language replaces it when its words are there.
i18n.loadAndActivate({ locale: "en", messages: {} });
customElements.define("soundstage-presenter", SoundstagePresenter);
