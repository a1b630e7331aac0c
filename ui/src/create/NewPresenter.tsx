/** A presenter from a photo or an avatar: the file, a name and a voice, and the consent of the person shown. */

import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { type Asset, api, body, type PersonaEntry } from "../api/client";
import { ConsentDraft, PersonaDraft } from "../api/limits";
import { serverNow } from "../api/reachable";
import { Field } from "../kit/Field";
import { FileDrop } from "../kit/FileDrop";
import { FileInput } from "../kit/FileInput";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice } from "../kit/kit";
import { Modal } from "../kit/Modal";
import { fetchPart } from "../kit/part";
import { Select } from "../kit/Select";
import { usePrincipal } from "../shell/me";
import { HearButton } from "../voices/HearButton";
import { useOwnVoice } from "../voices/ownVoice";
import { AvatarFields, isAvatar, type TakePicture, useAvatarCheck } from "./AvatarFields";
import { CameraPicture } from "./CameraPicture";
import { ConsentRecorder } from "./ConsentRecorder";
import { Thumbnail } from "./MediaDialog";
import { PortraitPreview } from "./PortraitPreview";
import { UploadNote } from "./UploadNote";
import { ACCEPTED, useUpload } from "./useAssets";
import { usable, usePersonas } from "./usePersonas";
import "./new-presenter.css";

/** The choice of a voice that is cloned from the recorded consent. */
const OWN = "own";

interface Props {
  onClose: () => void;
  onCreated: (name: string, warnings: readonly string[]) => void;
}

export function NewPresenter({ onClose, onCreated }: Props) {
  const queries = useQueryClient();
  const me = usePrincipal();
  const ownVoice = useOwnVoice(me);
  const [photo, setPhoto] = useState<Asset | null>(null);
  /** The file of an avatar, which is drawn from here. */
  const [avatarFile, setAvatarFile] = useState<File | null>(null);
  const [confirmed, setConfirmed] = useState(false);
  /** Whether the avatar is a likeness of somebody. */
  const [isLikeness, setLikeness] = useState(false);
  const takePicture = useRef<TakePicture | null>(null);
  const [posing, setPosing] = useState(false);
  const [name, setName] = useState("");
  const [title, setTitle] = useState("");
  const [voiceOf, setVoiceOf] = useState("nova");
  const [person, setPerson] = useState("");
  const [agreed, setAgreed] = useState(false);
  const [evidence, setEvidence] = useState<Asset | null>(null);
  const [recording, setRecording] = useState(false);
  const [refused, setRefused] = useState(false);
  const [chosenService, setService] = useState("");
  /** When the box was ticked, by the server's clock. */
  const agreedAt = useRef<Promise<number> | null>(null);
  const service = chosenService || (ownVoice.services[0] ?? "");
  /** What was agreed to was another photo, or another person. */
  const agreeAnew = () => {
    setAgreed(false);
    setEvidence(null);
    agreedAt.current = null;
  };
  const upload = useUpload(setPhoto);
  // The voice of a real person is given to no other.
  const personas = usable(usePersonas().data).filter((one) => !isCloned(one));
  const like = personas.find((one) => one.id === voiceOf) ?? personas[0];
  const own = !isAvatar(photo) && voiceOf === OWN && ownVoice.services.length > 0;
  const avatar = isAvatar(photo);
  const avatarCheck = useAvatarCheck(photo);
  const needsConsent = !avatar || isLikeness;
  const who = person.trim() || "…";
  const statement = avatar
    ? t`I, ${who}, agree that an avatar that looks like me speaks texts that others write.`
    : own
      ? t`I, ${who}, agree that videos are made in which a likeness of me, drawn from my photo, speaks texts that others write, in a voice that is cloned from this recording.`
      : t`I, ${who}, agree that videos are made in which a likeness of me, drawn from my photo, speaks texts that others write.`;
  const consent = async () => {
    agreedAt.current ??= serverNow();
    return {
      person: person.trim(),
      purpose: statement,
      granted_at: new Date(await agreedAt.current).toISOString(),
      evidence: evidence?.id ?? null,
    };
  };
  const check = useQuery({
    queryKey: ["portrait", photo?.id],
    // Nothing is measured before the person has agreed.
    enabled: photo !== null && !avatar && agreed && person.trim() !== "",
    queryFn: async () =>
      body(api.POST("/api/personas/check", { body: { media: photo?.id ?? "", consent: await consent() } as never })),
    staleTime: Infinity,
    retry: false,
  });
  const voiceOfLike = like?.persona && { voice: like.persona.voice, style: like.persona.style };
  const voice = async () => {
    if (!own || !evidence) return voiceOfLike;
    const cloned = await ownVoice.clone({ name, said: statement, recording: evidence.id, service, consent: await consent() });
    return { voice: cloned, style: { ...like?.persona?.style, language: i18n.locale === "de" ? "de" : "en-us" } };
  };
  const create = useMutation({
    mutationFn: async () => {
      const still = avatar ? await takePicture.current?.() : null;
      const picture = still && (await uploadPicture(still, `${name.trim()}.png`));
      return body(
        api.POST("/api/personas", {
          body: {
            name: name.trim(),
            title: title.trim(),
            media: photo?.id ?? "",
            description: "",
            engine: "auto",
            pauses: "filmed",
            tools: ["*"],
            ...(await voice()),
            ...(needsConsent && { consent: await consent() }),
            ...(avatar && { picture: picture?.id ?? null, licence_confirmed: confirmed }),
          } as never,
        }),
      );
    },
    onSuccess: ({ persona, warnings }) => {
      ownVoice.adopt();
      void queries.invalidateQueries({ queryKey: ["voices"] });
      void queries.invalidateQueries({ queryKey: ["personas"] });
      onCreated(persona.name, warnings ?? []);
    },
  });
  const take = (file: File) => {
    setPosing(false);
    create.reset();
    const isModel = /\.(vrm|glb)$/i.test(file.name);
    setRefused(!isModel && !file.type.startsWith("image/"));
    if (!isModel && !file.type.startsWith("image/")) return;
    setPhoto(null);
    setAvatarFile(isModel ? file : null);
    setConfirmed(false);
    agreeAnew();
    upload.mutate(file);
  };
  return (
    <Modal title={t`New presenter`} size="wide" onClose={() => create.isPending || onClose()}>
      <Form className="stack new-presenter" error={create.error} onSubmit={() => photo && create.mutate()}>
        <fieldset className="stack">
          <legend>{t`Photo or avatar`}</legend>
          {posing ? (
            <CameraPicture onPicture={take} onClose={() => setPosing(false)} />
          ) : (
            <FileDrop
              label={t`Drop a photo or avatar here`}
              hint={photo ? "" : t`Drop a photo or avatar here, or`}
              disabled={upload.isPending}
              onFile={take}
            >
              {photo && !avatar && <Thumbnail asset={photo} />}
              <div className="row">
                <FileInput
                  label={photo ? t`Choose another file` : t`Choose a photo or avatar`}
                  accept={`${ACCEPTED.image},${ACCEPTED.avatar}`}
                  disabled={upload.isPending}
                  onFile={take}
                />
                <button type="button" onClick={() => setPosing(true)}>{t`Take it with the camera`}</button>
              </div>
            </FileDrop>
          )}
          <p className="quiet">
            {avatar
              ? t`Avatars answer in conversations; no videos are rendered of them.`
              : t`One face, from the front, in even light, with the mouth closed and nothing in front of it. Or a VRM avatar, for conversations.`}
          </p>
          {refused && <p className="problem">{t`This is neither a picture nor a VRM avatar.`}</p>}
          <UploadNote of={upload} />
          {avatar && avatarFile && (
            <AvatarFields
              key={photo.id}
              file={avatarFile}
              check={avatarCheck}
              confirmed={confirmed}
              onConfirmed={setConfirmed}
              onDrawn={(take) => {
                takePicture.current = take;
              }}
            />
          )}
        </fieldset>
        <div className="columns">
          <Field of={PersonaDraft} name="name" label={t`Name`} value={name} onChange={setName} />
          <Field of={PersonaDraft} name="title" label={t`Role`} value={title} onChange={setTitle} />
          <div className="row voice">
            <Select
              label={t`Voice`}
              value={own ? OWN : (like?.id ?? "")}
              onChange={(chosen) => {
                setVoiceOf(chosen);
                // The sentence that is agreed to is another one with an own voice.
                if (own !== (chosen === OWN)) agreeAnew();
              }}
              of={personas.map((one) => [one.id, t`like ${one.persona?.name ?? one.id}`])}
            >
              {ownVoice.services.length > 0 && !avatar && <option value={OWN}>{t`their own, cloned`}</option>}
            </Select>
            {!own && <HearButton presenter={like} about={like?.persona?.name ?? ""} />}
          </div>
        </div>
        {avatar && (
          <label className="row">
            <input type="checkbox" checked={isLikeness} onChange={({ target }) => setLikeness(target.checked)} />
            {t`This avatar looks like a real person`}
          </label>
        )}
        <fieldset className="stack" hidden={!needsConsent} disabled={!needsConsent}>
          <legend>{t`Consent`}</legend>
          <Field
            of={ConsentDraft}
            name="person"
            path="consent.person"
            label={avatar ? t`Full name of the person it looks like` : t`Full name of the person in the photo`}
            value={person}
            onChange={(value) => {
              setPerson(value);
              agreeAnew();
            }}
          />
          {own && ownVoice.services.length > 1 && (
            <Select
              label={t`Speech service`}
              value={service}
              onChange={setService}
              of={ownVoice.services.map((one) => [one, one])}
            />
          )}
          <blockquote>{statement}</blockquote>
          <label className="row">
            <input
              type="checkbox"
              required
              checked={agreed}
              onChange={({ target }) => {
                agreedAt.current = null;
                setAgreed(target.checked);
              }}
            />
            {t`This person has read this and agrees`}
          </label>
          {own && (
            <p className="quiet">
              {t`The recording of this sentence, of 5 to 30 seconds, goes to the speech service ${service}, which clones the voice.`}
            </p>
          )}
          <ConsentRecorder person={person} recorded={evidence} onRecorded={setEvidence} onBusy={setRecording} />
        </fieldset>
        {photo && !avatar && agreed && (
          <div aria-live="polite">
            {check.isFetching && <p className="quiet">{t`Looking at the face`}</p>}
            {check.error && <ErrorNotice error={check.error} />}
            {check.data && <Remarks of={check.data.remarks} />}
          </div>
        )}
        {photo && agreed && check.data && like?.persona && (
          <PortraitPreview
            key={`${photo.id} ${like.id}`}
            request={async () => ({ media: photo.id, consent: await consent(), ...voiceOfLike })}
            borrowed={own ? like.persona.name : ""}
          />
        )}
        <FormError />
        <div className="row ends">
          {create.isPending && !avatar && <span className="quiet" role="status">{t`Measuring the face`}</span>}
          <button type="button" disabled={create.isPending} onClick={onClose}>{t`Cancel`}</button>
          <button
            type="submit"
            className="primary"
            disabled={
              !photo ||
              (own && !evidence) ||
              (avatar && !avatarCheck.data) ||
              upload.isPending ||
              recording ||
              create.isPending ||
              check.isFetching ||
              check.isError
            }
          >
            {t`Create presenter`}
          </button>
        </div>
      </Form>
    </Modal>
  );
}

async function uploadPicture(still: Blob, name: string): Promise<Asset> {
  const { upload } = await fetchPart(() => import("./upload"));
  return upload(new File([still], name, { type: still.type }), new AbortController().signal, () => undefined);
}

/** Of the worker; one without words here is shown in its own. */
const REMARKS: Record<string, MessageDescriptor> = {
  "portrait.teeth_showing": msg`The mouth is open or shows teeth; closed, relaxed lips move better.`,
  "portrait.turned": msg`The head is turned; a face that looks straight into the camera moves better.`,
  "portrait.tilted": msg`The head is tilted; an upright head moves better.`,
  "portrait.small_face": msg`The face is small in the picture; the video will look soft.`,
  "portrait.blurry": msg`The face is out of focus or moved; the video will look soft.`,
  "portrait.dark": msg`The face is dark; the inside of the mouth may look too bright.`,
  "portrait.eyes_closed": msg`The eyes are nearly closed; they cannot blink.`,
  "portrait.glasses": msg`The person wears glasses; brows and lids will move less.`,
  "portrait.half_face": msg`Part of the face lies beyond the edge of the picture; what is missing is made up.`,
  "portrait.cropped": msg`The top of the head or the chin is cut off by the edge of the picture.`,
};

function Remarks({ of }: { of: readonly { code: string; message: string }[] }) {
  if (of.length === 0) return <p>{t`The face is well to be seen.`}</p>;
  return (
    <>
      <p>{t`It works as it is; another photo may be better:`}</p>
      <ul className="notices" aria-label={t`What could be better in the photo`}>
        {of.map(({ code, message }) => (
          <li key={code}>{REMARKS[code] ? i18n.t(REMARKS[code]) : message}</li>
        ))}
      </ul>
    </>
  );
}

const isCloned = ({ persona }: PersonaEntry) => (persona?.voice as { cloned?: boolean } | undefined)?.cloned === true;
