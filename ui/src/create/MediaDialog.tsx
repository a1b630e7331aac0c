/** Pictures and clips that were uploaded, of which one is chosen; another one is dropped here or picked. */
import { t } from "@lingui/core/macro";
import type { Asset } from "../api/client";
import { FileDrop } from "../kit/FileDrop";
import { FileInput } from "../kit/FileInput";
import { NoRows } from "../kit/kit";
import { Modal } from "../kit/Modal";
import { duration } from "../videos/words";
import { UploadNote } from "./UploadNote";
import { ACCEPTED, useAssets, useUpload } from "./useAssets";

const KINDS = ["image", "video"] as const;

interface Props {
  onChoose: (asset: Asset) => void;
  onClose: () => void;
}

export function MediaDialog({ onChoose, onClose }: Props) {
  const assets = useAssets(KINDS);
  const choose = (asset: Asset) => {
    onChoose(asset);
    onClose();
  };
  const upload = useUpload(choose);
  const name = upload.variables?.name ?? "";
  return (
    <Modal title={t`Picture or clip`} size="wide" dismissable={!upload.isPending} onClose={onClose}>
      <FileDrop
        label={t`Drop a picture or a clip here`}
        hint={t`Drop a picture or a clip here, or`}
        disabled={upload.isPending}
        onFile={(file) => upload.mutate(file)}
      >
        <FileInput
          label={upload.isPending ? t`Uploading ${name}` : t`Choose a file`}
          accept={KINDS.map((kind) => ACCEPTED[kind]).join()}
          disabled={upload.isPending}
          onFile={(file) => upload.mutate(file)}
        />
      </FileDrop>
      <UploadNote of={upload} />
      <NoRows of={assets}>{t`Nothing was uploaded yet.`}</NoRows>
      <ul className="face-wall media-wall">
        {assets.data?.map((one) => (
          <li key={one.id}>
            <button type="button" onClick={() => choose(one)}>
              <Thumbnail asset={one} />
              <strong>{one.name}</strong>
              {one.duration_ms !== null && <span className="quiet">{duration(one.duration_ms / 1000)}</span>}
            </button>
          </li>
        ))}
      </ul>
      <div className="row ends">
        <button type="button" onClick={onClose}>{t`Cancel`}</button>
      </div>
    </Modal>
  );
}

export function Thumbnail({ asset }: { asset: Asset | undefined }) {
  return asset?.picture ? (
    <img className="thumbnail" src={asset.picture} alt="" loading="lazy" />
  ) : (
    <span className="thumbnail" />
  );
}
