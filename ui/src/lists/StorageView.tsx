/** What takes room on the disk, what could be removed, and removing it. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, plural, t } from "@lingui/core/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api, body } from "../api/client";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { ErrorNotice, Table } from "../kit/kit";
import { number } from "../videos/words";
import "./lists.css";

const OWNERS: Record<string, MessageDescriptor> = {
  render: msg`Finished videos`,
  scene: msg`Scenes of projects`,
  blob: msg`Files that nothing holds`,
  segment: msg`Scenes kept for the next video`,
  asset: msg`Uploaded files`,
  upload: msg`Uploads under way`,
  persona: msg`Presenters`,
  rendition: msg`Small forms of videos and files`,
  voice: msg`Samples of voices`,
  consent: msg`Evidence of consent`,
  brand: msg`Brand kits`,
  project: msg`Projects`,
  version: msg`Versions of projects`,
};
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** In the largest unit of which there is at least one. */
function size(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log(bytes) / Math.log(1024)));
  return `${number(bytes / 1024 ** step, step > 1 ? 1 : 0)} ${UNITS[step]}`;
}

const ownerWords = (owner: string) => (OWNERS[owner] ? i18n.t(OWNERS[owner]) : owner);

export function StorageView() {
  const queries = useQueryClient();
  const usage = useQuery({ queryKey: ["storage", "usage"], queryFn: () => body(api.GET("/api/storage")) });
  const plan = useQuery({ queryKey: ["storage", "plan"], queryFn: () => body(api.GET("/api/storage/collection")) });
  const held = Object.entries(usage.data?.held_bytes ?? {}).sort(([, one], [, other]) => other - one);
  const reasons = new Map<string, { kind: string; why: string; count: number; bytes: number }>();
  for (const { kind, why, bytes } of plan.data?.items ?? []) {
    const one = reasons.get(`${kind} ${why}`) ?? { kind, why, count: 0, bytes: 0 };
    reasons.set(`${kind} ${why}`, { ...one, count: one.count + 1, bytes: one.bytes + bytes });
  }
  const copies = plan.data?.out_files?.length ?? 0;
  const items = (plan.data?.items?.length ?? 0) + copies;
  const films = plan.data?.items?.filter((one) => one.kind === "render").length ?? 0;
  const free = plan.data ? size(plan.data.freed_bytes ?? 0) : "";
  const stored = usage.data ? size(usage.data.stored_bytes) : "";
  return (
    <div className="stack">
      <h1>{t`Storage`}</h1>
      {usage.error && <ErrorNotice error={usage.error} />}
      {usage.data && <p>{t`${stored} are stored. A shared file counts in each row that uses it.`}</p>}
      {held.length > 0 && (
        <Table name={t`Storage`} heads={[t`Held by`, t`Size`, t`Share`]}>
          {held.map(([owner, bytes]) => (
            <tr key={owner}>
              <th scope="row">{ownerWords(owner)}</th>
              <td>{size(bytes)}</td>
              <td>
                <meter className="share" max={usage.data?.stored_bytes} value={bytes} aria-label={t`Share`} />
              </td>
            </tr>
          ))}
        </Table>
      )}
      <h2>{t`What could go`}</h2>
      {plan.error && <ErrorNotice error={plan.error} />}
      {plan.data && items === 0 && (
        <p className="quiet">{t`Nothing: all that is stored is held, and inside the limits of the settings.`}</p>
      )}
      {items > 0 && (
        <>
          <Table name={t`What could go`} heads={[t`What`, t`Why`, t`Number`, t`Size`]}>
            {[...reasons.values()].map(({ kind, why, count, bytes }) => (
              <tr key={`${kind} ${why}`}>
                <th scope="row">{ownerWords(kind)}</th>
                <td>{why}</td>
                <td>{number(count)}</td>
                <td>{size(bytes)}</td>
              </tr>
            ))}
            {copies > 0 && (
              <tr>
                <th scope="row">{t`Copies in the folder of finished files`}</th>
                <td>{t`their video goes`}</td>
                <td>{number(copies)}</td>
                <td>–</td>
              </tr>
            )}
          </Table>
          <div>
            <ConfirmedAction
              label={t`Remove`}
              title={t`Remove what is not needed any more?`}
              confirmLabel={t`Remove ${free}`}
              action={() => api.POST("/api/storage/collection")}
              onSettled={() => queries.invalidateQueries({ queryKey: ["storage"] })}
            >
              <p>
                {films > 0
                  ? t`${plural(films, { one: "# finished video is", other: "# finished videos are" })} among it, gone for good.`
                  : t`No finished video is among it.`}
              </p>
              <p>{t`Scenes are made again when a video needs them.`}</p>
            </ConfirmedAction>
          </div>
        </>
      )}
    </div>
  );
}
