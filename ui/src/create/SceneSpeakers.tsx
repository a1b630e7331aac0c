/** Who else speaks in a scene: their faces beside its presenter, and the marks that say whose words follow. */
import { t } from "@lingui/core/macro";
import { Suspense, useState } from "react";
import { IconAction } from "../kit/IconAction";
import { changeScene, type SceneDoc } from "./document";
import { addSpeaker, castOf, MAX_SPEAKERS, removeSpeaker, replaceSpeaker } from "./marks";
import { PresenterButton, PresenterDialog } from "./PresenterPicker";
import type { Editor } from "./useEditor";
import { usePresenterNames } from "./usePersonas";

interface Props {
  scene: SceneDoc;
  number: number;
  edit: Editor["edit"];
  /** Of the project. */
  persona: string;
}

export function Speakers({ scene, number, edit, persona }: Props) {
  const [adding, setAdding] = useState(false);
  const { key, body } = scene;
  const nameOf = usePresenterNames();
  const change = (what: string, changed: Partial<SceneDoc["body"]>) => edit(what, (doc) => changeScene(doc, key, changed));
  const present = castOf(body, persona).map((one) => one.persona);
  const isThere = (id: string) => present.includes(id);
  return (
    <>
      {body.speakers.map((one) => (
        <span key={one.persona} className="row speaker">
          <PresenterButton
            label={t`Speaker of scene ${number}`}
            value={one.persona}
            fallback={persona}
            without={present.filter((id) => id !== one.persona)}
            onChange={(chosen) => !isThere(chosen) && change(t`Speaker`, replaceSpeaker(body, one.persona, chosen))}
          />
          <IconAction
            label={t`Remove ${nameOf(one.persona)} from scene ${number}`}
            onPress={() => change(t`Remove a speaker`, removeSpeaker(body, one.persona))}
          >
            ×
          </IconAction>
        </span>
      ))}
      {body.speakers.length < MAX_SPEAKERS && (
        <button type="button" className="plain" onClick={() => setAdding(true)}>
          + {body.speakers.length === 0 ? t`Second speaker` : t`Another speaker`}
          <span className="visually-hidden"> {t`in scene ${number}`}</span>
        </button>
      )}
      {adding && (
        <Suspense>
          <PresenterDialog
            title={t`Who else speaks in scene ${number}`}
            value=""
            without={present}
            onChange={(chosen) => !isThere(chosen) && change(t`Add a speaker`, addSpeaker(body, chosen))}
            onClose={() => setAdding(false)}
          />
        </Suspense>
      )}
    </>
  );
}

/** A button for each speaker of a scene. */
export function SpeakerMarks({
  scene,
  persona,
  onChoose,
}: {
  scene: SceneDoc;
  persona: string;
  onChoose: (name: string) => void;
}) {
  const nameOf = usePresenterNames();
  const { body } = scene;
  return castOf(body, persona).map((one) => (
    <button key={one.name} type="button" title={t`The words behind the caret are theirs`} onClick={() => onChoose(one.name)}>
      {t`${nameOf(one.persona)} speaks`}
    </button>
  ));
}
