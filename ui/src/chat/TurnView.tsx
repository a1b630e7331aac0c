/** One turn: the sentence, the steps of the tools, the answer, and what it asks of people. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import type { Approval } from "../api/client";
import { useApprovals } from "../approvals/useApprovals";
import { Blocks } from "../kit/Blocks";
import { callWords } from "../kit/calls";
import { ownWords, State } from "../kit/kit";
import { Marked } from "../kit/Marked";
import { stateWords } from "../kit/State";
import { useMe } from "../shell/me";
import { pictureUrl } from "../videos/picture";
import { useRenderRow } from "../videos/useRenders";
import { stageWords } from "../videos/words";
import type { Step, TurnViewModel } from "./turn";

interface Props {
  turn: TurnViewModel;
  onSay: (sentence: string) => void;
  onFill: (sentence: string) => void;
  onCancel: () => void;
}

const ENDS = { running: msg`running`, done: msg`done`, failed: msg`failed`, waits: msg`waits for approval` };

export function TurnView({ turn, onSay, onFill, onCancel }: Props) {
  // A text of a language model holds no links: the video that it is about is shown below.
  const unlinked = turn.blocks.every((one) => one.kind === "paragraph" && one.content.every((part) => typeof part === "string"));
  const renderId = turn.steps.find((one) => (one.effect !== "read" || unlinked) && one.result?.render_id)?.result?.render_id;
  return (
    <article className="turn" aria-label={t`You said: ${turn.utterance.slice(0, 80)}`}>
      <p className="said">{turn.utterance}</p>
      {turn.steps.map((step, place) => (
        <StepView key={`${place}-${step.tool}`} step={step} />
      ))}
      {turn.notices.map((one) => (
        <p key={one} className="quiet">
          {one}
        </p>
      ))}
      {turn.blocks.length > 0 && (
        <div className="reply">
          <Blocks blocks={turn.blocks} />
        </div>
      )}
      {typeof renderId === "string" && <VideoCard id={renderId} />}
      {turn.choices.length > 0 && (
        <div className="examples">
          {turn.choices.map((one) => (
            <button type="button" key={one} onClick={() => onSay(one)}>
              {one}
            </button>
          ))}
        </div>
      )}
      {turn.offers.map((one) => (
        <div key={one} className="asks">
          <span>{t`This happens only when you say so:`}</span>
          <button type="button" onClick={() => onSay(one)}>
            {one}
          </button>
        </div>
      ))}
      {turn.approvals.map((one) => (
        <ApprovalNotice
          key={one.id}
          id={one.id}
          message={turn.text.includes(one.message) ? t`It needs a decision.` : one.message}
        />
      ))}
      {turn.failure && (
        <div className="problem" role="alert">
          <strong>
            <Marked text={turn.failure.message} />
          </strong>{" "}
          <Marked text={turn.failure.hint ?? ""} /> <code>{turn.failure.code}</code>
          {(turn.failure.suggestions?.length ?? 0) > 0 && (
            <div className="examples">
              {turn.failure.suggestions?.map((one) => (
                <button type="button" key={one} onClick={() => onFill(one)}>
                  {one}
                </button>
              ))}
            </div>
          )}
        </div>
      )}
      {turn.usage && <p className="quiet">{turn.usage}</p>}
      {!turn.ended && (
        <div className="row">
          <span className="thinking quiet">{t`Answering`}</span>
          <button type="button" onClick={onCancel}>{t`Stop`}</button>
        </div>
      )}
    </article>
  );
}

/** The approval with that id as it stands now; nothing when this person may not read approvals. */
function useApproval(id: string | undefined): Approval | undefined {
  const me = useMe().data;
  return useApprovals(id !== undefined && (me?.permissions.includes("approval:read") ?? false)).data?.find(
    (one) => one.id === id,
  );
}

/** A call that waits for people, and how they decided. */
function ApprovalNotice({ id, message }: { id: string; message: string }) {
  const found = useApproval(id);
  const votes = found?.votes.map(
    ({ name, agrees, reason }) => (agrees ? t`${name} agreed` : t`${name} denied`) + (reason ? `: ${reason}` : "."),
  );
  if (found && found.state !== "pending")
    return (
      <div className="asks ended">
        <span>
          <Marked text={[...(votes ?? []), found.outcome].filter(Boolean).join(" ") || t`It is ${stateWords(found.state)}.`} />
        </span>
        <Link to="/run/approvals/$id" params={{ id }}>{t`The approval`}</Link>
      </div>
    );
  return (
    <div className="asks">
      <span>
        <Marked text={message} />
      </span>
      <Link className="button" to="/run/approvals/$id" params={{ id }}>{t`See the plan`}</Link>
    </div>
  );
}

function StepView({ step }: { step: Step }) {
  const decided = useApproval(step.approval)?.state;
  const texts = Object.entries(step.arguments).filter(
    ([name, one]) => name !== "action" && typeof one === "string" && one && one !== "latest",
  );
  const whole = { arguments: step.arguments, ...(step.result && { result: step.result }) };
  return (
    <details className="step">
      <summary>
        <span className="what">
          <strong>{callWords(step.tool, step.arguments)}</strong>{" "}
          <span className="quiet">{texts.map(([, one]) => one).join(" · ")}</span>
        </span>
        {decided && decided !== "pending" ? (
          <State of={decided} />
        ) : (
          <State of={step.state === "waits" ? "pending" : step.state}>{i18n.t(ENDS[step.state])}</State>
        )}
      </summary>
      {step.message && <p className="problem">{step.message}</p>}
      {/* biome-ignore-start lint/a11y: what scrolls must be reached by keyboard, and a group is no landmark */}
      <pre role="group" tabIndex={0} aria-label={t`${callWords(step.tool, step.arguments)}: arguments and result`}>
        {JSON.stringify(whole, null, 2)}
      </pre>
      {/* biome-ignore-end lint/a11y: so far */}
    </details>
  );
}

function VideoCard({ id }: { id: string }) {
  const { data: render, isPending } = useRenderRow(id);
  // Its height from the start, so that the end of the conversation stays in sight.
  if (isPending)
    return (
      <span className="made">
        <span className="blank" />
        <span className="quiet">{t`One moment`}</span>
      </span>
    );
  if (!render) return null;
  const { frames_done: done, frames_total: total, stage } = render.progress;
  const picture = pictureUrl(render, 84);
  return (
    <Link className="made" to="/videos/$id" params={{ id }}>
      {picture ? <img src={picture} alt="" /> : <span className="blank" />}
      <span className="stack">
        <strong>{render.title}</strong>
        {!["done", "failed", "cancelled"].includes(render.state) && (
          <progress max={total || 1} value={done} aria-label={t`Progress of ${render.title}`} />
        )}
        {render.state === "failed" && render.error && (
          <span className="quiet">{ownWords(render.error)?.[0] ?? render.error.message}</span>
        )}
      </span>
      <State of={render.state}>
        {render.waits ? t`waiting` : render.state === "running" ? stageWords(stage ?? "running") : stateWords(render.state)}
      </State>
    </Link>
  );
}
