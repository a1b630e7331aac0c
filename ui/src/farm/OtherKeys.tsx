/** Keys that report as a machine and do not count for it, and the choice of the one that does. */

import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { useState } from "react";
import { api, type Machine, type Me } from "../api/client";
import { Confirm } from "../kit/Confirm";
import { when } from "../videos/words";
import { machineParams, useOperation } from "./MachineOperations";

/** A neighbour that pretends, or the machine itself after a restart: only its screen tells. */
export function OtherKeys({ of, me }: { of: Machine; me: Me }) {
  const [open, setOpen] = useState(false);
  return (
    <div className="row apart">
      <div>
        {of.conflicts.map((one) => (
          <p key={one.code}>
            {one.same_source ? (
              <Trans>
                Reports with another key, <span className="mono">{one.code}</span>, since {when(one.since)}, from the same
                address.
              </Trans>
            ) : (
              <Trans>
                Reports with another key, <span className="mono">{one.code}</span>, since {when(one.since)}, from another address,{" "}
                {one.source}.
              </Trans>
            )}
          </p>
        ))}
      </div>
      {me.permissions.includes("machine:accept") && (
        <button type="button" aria-label={t`Choose the key of ${of.name}`} onClick={() => setOpen(true)}>
          {t`Choose the key`}
        </button>
      )}
      {open && <ChooseKey machine={of} onClose={() => setOpen(false)} />}
    </div>
  );
}

function ChooseKey({ machine, onClose }: { machine: Machine; onClose: () => void }) {
  const [code, setCode] = useState("");
  const choose = useOperation(
    () => api.POST("/api/farm/machines/{name}/key", { params: machineParams(machine), body: { code } }),
    onClose,
  );
  const offered = [
    { code: machine.code, note: t`counts now` },
    ...machine.conflicts.map((one) => ({ code: one.code, note: t`since ${when(one.since)}` })),
  ];
  return (
    <Confirm
      title={t`Which key is that of ${machine.name}?`}
      confirmLabel={t`Use this key`}
      busy={choose.isPending || !offered.some((one) => one.code === code)}
      error={choose.error}
      onConfirm={() => choose.mutate()}
      onClose={onClose}
    >
      <fieldset>
        <legend>{t`The code on the machine's own screen:`}</legend>
        {offered.map((one) => (
          <label key={one.code} className="row">
            <input type="radio" name="code" value={one.code} checked={code === one.code} onChange={() => setCode(one.code)} />
            <span className="key-code mono">{one.code}</span>
            <span className="quiet">{one.note}</span>
          </label>
        ))}
      </fieldset>
      <p className="quiet">{t`What the machine was allowed holds for that key, and the other keys are refused. If the screen shows none of these, choose none: somebody pretends to be this machine.`}</p>
    </Confirm>
  );
}
