/** Files that films use: seen, heard, found, renamed and deleted; another one is dropped here. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Asset, api, body, type Me } from "../api/client";
import { AssetChange, getAssets } from "../api/limits";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { Field } from "../kit/Field";
import { FileDrop } from "../kit/FileDrop";
import { FileInput } from "../kit/FileInput";
import { ErrorNotice, NoRows } from "../kit/kit";
import { RenameField } from "../kit/RenameField";
import { Select } from "../kit/Select";
import { useSettled } from "../kit/useSettled";
import { usePrincipal } from "../shell/me";
import { lengthOf, mebibytes, when } from "../videos/words";
import { Thumbnail } from "./MediaDialog";
import { UploadNote } from "./UploadNote";
import { ACCEPTED, useUpload } from "./useAssets";
import "./create.css";

const MAX_SHOWN = 200;

const KINDS = {
  image: msg`picture`,
  video: msg`video`,
  audio: msg`sound`,
  motion: msg`motion`,
  model: msg`avatar`,
  avatar_image: msg`portrait`,
  avatar_video: msg`footage of a presenter`,
  tts_audio: msg`speech`,
  screen_capture: msg`screen recording`,
  composited_scene: msg`finished scene`,
};
type Kind = keyof typeof KINDS;

export function AssetsView() {
  const me = usePrincipal();
  const [typed, setTyped] = useState("");
  const [kind, setKind] = useState<Kind | "">("");
  const search = useSettled(typed.trim());
  const query = { limit: MAX_SHOWN, ...(kind && { kind: [kind] }), ...(search && { q: search }) };
  const assets = useQuery({
    queryKey: ["assets", query],
    queryFn: () => body(api.GET("/api/assets", { params: { query } })),
    placeholderData: (before) => before,
  });
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Assets`}</h1>
        <div className="row filters">
          {assets.data?.length === MAX_SHOWN && <span className="quiet">{t`the newest ${MAX_SHOWN}`}</span>}
          <Select bare label={t`Kind`} value={kind} onChange={setKind} none={t`Every kind`} of={KINDS} />
          <Field
            bare
            type="search"
            of={getAssets}
            name="q"
            label={t`Search assets`}
            placeholder={t`Search`}
            value={typed}
            onChange={setTyped}
          />
        </div>
      </div>
      {me.permissions.includes("asset:create") && (
        <Upload
          onDone={() => {
            setTyped("");
            setKind("");
          }}
        />
      )}
      <NoRows of={assets}>
        {search || kind ? t`No file fits.` : t`No files yet. Pictures, videos and sounds that scenes use stand here.`}
      </NoRows>
      <ul className="asset-grid">
        {assets.data?.map((one) => (
          <Card key={one.id} asset={one} me={me} />
        ))}
      </ul>
    </div>
  );
}

function Upload({ onDone }: { onDone: () => void }) {
  const upload = useUpload(onDone);
  const name = upload.variables?.name ?? "";
  const send = (file: File) => upload.mutate(file);
  return (
    <>
      <FileDrop
        label={t`Drop a picture, a video or a sound here`}
        hint={t`Drop a picture, a video or a sound here, or`}
        disabled={upload.isPending}
        onFile={send}
      >
        <FileInput
          label={upload.isPending ? t`Uploading ${name}` : t`Add a file`}
          accept={Object.values(ACCEPTED).join()}
          disabled={upload.isPending}
          onFile={send}
        />
      </FileDrop>
      <UploadNote of={upload} />
    </>
  );
}

function Card({ asset, me }: { asset: Asset; me: Me }) {
  const queries = useQueryClient();
  const [renaming, setRenaming] = useState(false);
  const path = { asset_id: asset.id };
  const changed = () => queries.invalidateQueries({ queryKey: ["assets"] });
  const rename = useMutation({
    mutationFn: (name: string) => api.PATCH("/api/assets/{asset_id}", { params: { path }, body: { name } }),
    onSuccess: () => {
      setRenaming(false);
      void changed();
    },
  });
  const isSound = asset.media_type.startsWith("audio/");
  return (
    <li className="card asset">
      {isSound ? (
        <div className="thumbnail">
          {/* biome-ignore lint/a11y/useMediaCaption: an uploaded sound has no captions */}
          <audio controls preload="none" src={asset.url} aria-label={asset.name} />
        </div>
      ) : (
        <a href={asset.url} aria-label={t`Open ${asset.name}`}>
          <Thumbnail asset={asset} />
        </a>
      )}
      {renaming ? (
        <RenameField
          of={AssetChange}
          name="name"
          label={t`New name`}
          value={asset.name}
          error={rename.error}
          onRename={rename.mutate}
        />
      ) : (
        <strong dir="auto">{asset.name}</strong>
      )}
      <span className="quiet">
        {[
          i18n.t(KINDS[asset.kind]),
          asset.duration_ms !== null && asset.duration_ms > 0 ? lengthOf(asset.duration_ms) : "",
          mebibytes(asset.bytes),
          ...asset.tags,
        ]
          .filter(Boolean)
          .join(" · ")}
        <br />
        {when(asset.created_at)}
      </span>
      <div className="row">
        <a className="button plain" href={`${asset.url}?download=true`} download={asset.name}>
          {t`Download`}
          <span className="visually-hidden"> {asset.name}</span>
        </a>
        {me.permissions.includes("asset:update") && !renaming && (
          <button type="button" className="plain" onClick={() => setRenaming(true)}>
            {t`Rename`}
            <span className="visually-hidden"> {asset.name}</span>
          </button>
        )}
        {me.permissions.includes("asset:delete") && (
          <ConfirmedAction
            label={t`Delete`}
            about={asset.name}
            title={t`Delete “${asset.name}”?`}
            confirmLabel={t`Delete this file`}
            action={() => api.DELETE("/api/assets/{asset_id}", { params: { path } })}
            onSuccess={() => void changed()}
          >
            <Uses of={asset} />
          </ConfirmedAction>
        )}
      </div>
    </li>
  );
}

/** What would still need the file, and that those keep it. */
function Uses({ of }: { of: Asset }) {
  const uses = useQuery({
    queryKey: ["asset-uses", of.id],
    queryFn: () => body(api.GET("/api/assets/{asset_id}/used-in", { params: { path: { asset_id: of.id } } })),
    staleTime: 0,
  });
  if (uses.error) return <ErrorNotice error={uses.error} />;
  if (!uses.data) return <p>{t`One moment`}</p>;
  const { projects, personas, brands, renders_total } = uses.data;
  const names = [...(projects ?? []).map((one) => one.title), ...(personas ?? []), ...(brands ?? [])];
  const used = names.map((one) => `“${one}”`).join(", ");
  return (
    <>
      <p>{t`It leaves this list for good.`}</p>
      {names.length > 0 && <p>{t`Used in ${used}: they keep what they use.`}</p>}
      {(renders_total ?? 0) > 0 && <p>{t`Videos that were made with it stay as they are.`}</p>}
    </>
  );
}
