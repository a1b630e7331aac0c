/** An uploaded file or a new one as the value of a field; the music under a film. */
import { msg, t } from "@lingui/core/macro";
import type { Project } from "../api/client";
import { FileInput } from "../kit/FileInput";
import { Select } from "../kit/Select";
import { UploadNote } from "./UploadNote";
import { ACCEPTED, type MediaKind, useAssets, useUpload } from "./useAssets";

type Music = Project["music"];

interface FileProps {
  kind: MediaKind;
  label: string;
  uploadLabel: string;
  sha256: string | null | undefined;
  onChoose: (sha256: string) => void;
}

/** One of the uploaded files, or a new one; empty for none. */
export function FileField({ kind, label, uploadLabel, sha256, onChoose }: FileProps) {
  const files = useAssets([kind]);
  const upload = useUpload((asset) => onChoose(asset.sha256));
  return (
    <>
      <Select
        label={label}
        value={sha256 ?? ""}
        onChange={onChoose}
        none={t`none`}
        of={files.data?.map((one) => [one.sha256, one.name]) ?? []}
      />
      <FileInput label={uploadLabel} accept={ACCEPTED[kind]} disabled={upload.isPending} onFile={(file) => upload.mutate(file)} />
      <UploadNote of={upload} />
    </>
  );
}

const LEVELS = { "-18": msg`quiet`, "-12": msg`usual`, "-6": msg`loud` };
const MUSIC = { level_db: -12, duck_db: -10, fade_in_ms: 800, fade_out_ms: 2500, from_ms: 0, loop: true };

export function MusicField({ music, onChange }: { music: Music; onChange: (music: Music) => void }) {
  const file = useAssets(["audio"]).data?.find((one) => one.sha256 === music?.audio.sha256);
  const level = String(music?.level_db);
  return (
    <fieldset className="brand-fields">
      <legend className="visually-hidden">{t`Music`}</legend>
      <FileField
        kind="audio"
        label={t`Music under the video`}
        uploadLabel={t`Upload music`}
        sha256={music?.audio.sha256}
        onChoose={(sha256) => onChange(sha256 ? { ...MUSIC, ...music, audio: { sha256 } } : null)}
      />
      {music && (
        <Select label={t`Volume`} value={level} onChange={(db) => onChange({ ...music, level_db: Number(db) })} of={LEVELS}>
          {!(level in LEVELS) && <option value={level}>{t`as it is`}</option>}
        </Select>
      )}
      {/* biome-ignore lint/a11y/useMediaCaption: music has no words */}
      {file && <audio controls preload="none" src={file.url} aria-label={file.name} />}
    </fieldset>
  );
}
