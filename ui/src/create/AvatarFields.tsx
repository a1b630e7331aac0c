/** A VRM avatar before a presenter is created from it: how it looks, what it lacks, and what its licence allows. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { type Asset, api, body, type VrmReport } from "../api/client";
import type { AvatarView } from "../face/avatar";
import { Facts } from "../kit/Facts";
import { ErrorNotice } from "../kit/kit";

const PICTURE_PX = 720;
const USERS = {
  everyone: msg`everybody`,
  onlySeparatelyLicensedPerson: msg`people with a licence of their own`,
  onlyAuthor: msg`its author alone`,
};
const PURPOSES = {
  corporation: msg`also by companies`,
  personalProfit: msg`also for a person’s profit`,
  personalNonProfit: msg`personal, without profit`,
};
const WARNINGS: Record<string, ReturnType<typeof msg>> = {
  "vrm.no_blink": msg`The avatar cannot blink.`,
  "vrm.few_mouth_shapes": msg`The avatar lacks mouth shapes: its lips move less exactly, or not at all.`,
  "vrm.commercial_use": msg`Its licence does not allow companies to use it.`,
};

export const isAvatar = (asset: Asset | null): asset is Asset => asset?.kind === "model";

export const useAvatarCheck = (asset: Asset | null) =>
  useQuery({
    queryKey: ["avatar", asset?.id],
    enabled: isAvatar(asset),
    queryFn: () => body(api.POST("/api/personas/check-avatar", { body: { media: asset?.id ?? "" } })),
    staleTime: Infinity,
    retry: false,
  });

/** A picture of the avatar as it is drawn; null where the browser draws none. */
export type TakePicture = () => Promise<Blob | null>;

interface Props {
  file: File;
  check: ReturnType<typeof useAvatarCheck>;
  confirmed: boolean;
  onConfirmed: (confirmed: boolean) => void;
  onDrawn: (take: TakePicture | null) => void;
}

export function AvatarFields({ file, check, confirmed, onConfirmed, onDrawn }: Props) {
  if (check.error) return <ErrorNotice error={check.error} />;
  if (!check.data) return <p className="quiet" role="status">{t`Looking at the avatar`}</p>;
  const { warnings = [], needs_confirmation } = check.data;
  return (
    <>
      <div className="row avatar">
        <Preview file={file} onDrawn={onDrawn} />
        <Licence of={check.data} />
      </div>
      {warnings.length > 0 && (
        <ul className="notices" aria-label={t`What the avatar lacks`}>
          {warnings.map(({ code, message }) => (
            <li key={code}>{WARNINGS[code] ? i18n.t(WARNINGS[code]) : message}</li>
          ))}
        </ul>
      )}
      {needs_confirmation && (
        <label className="row">
          <input type="checkbox" required checked={confirmed} onChange={({ target }) => onConfirmed(target.checked)} />
          {t`I am the author of this avatar, or have a licence to use it`}
        </label>
      )}
    </>
  );
}

function Preview({ file, onDrawn }: Pick<Props, "file" | "onDrawn">) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [failed, setFailed] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another file is another canvas
  useEffect(() => {
    let view: AvatarView | null = null;
    let isCurrent = true;
    const open = async (on: HTMLCanvasElement) => {
      const { AvatarView } = await import("../face/avatar");
      const opened = await AvatarView.read(on, await file.arrayBuffer(), { state: "idle", cues: [], heardAt: 0 });
      if (!isCurrent) return opened.close();
      view = opened;
      onDrawn(() => opened.picture(PICTURE_PX));
    };
    if (canvas.current) open(canvas.current).catch(() => setFailed(true));
    return () => {
      isCurrent = false;
      onDrawn(null);
      view?.close();
    };
  }, [file]);
  if (failed) return <p className="quiet">{t`This browser cannot draw the avatar: people see its picture instead.`}</p>;
  return <canvas ref={canvas} role="img" aria-label={t`Preview of the avatar`} />;
}

function Licence({ of }: { of: VrmReport }) {
  const {
    title,
    authors = [],
    licence_url,
    avatar_permission = "onlyAuthor",
    commercial_usage = "personalNonProfit",
  } = of.licence;
  return (
    <Facts
      className="avatar-facts"
      dim
      of={[
        [t`Avatar`, `${title || "–"} (VRM ${of.version})`],
        [t`By`, authors.join(", ") || "–"],
        [t`May be used by`, i18n.t(USERS[avatar_permission])],
        [t`Use`, i18n.t(PURPOSES[commercial_usage])],
        [
          t`Licence`,
          licence_url ? (
            <a key="licence" href={licence_url} target="_blank" rel="noreferrer">
              {licence_url}
            </a>
          ) : (
            "–"
          ),
        ],
      ]}
    />
  );
}
