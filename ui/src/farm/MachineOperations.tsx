/** Operations on a machine; each shows its plan and asks for confirmation. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api, body, type Machine, type Me } from "../api/client";
import { Acceptance } from "../api/limits";
import { Confirm } from "../kit/Confirm";
import { Field } from "../kit/Field";
import { NoPlan } from "../kit/kit";
import { PlanChanges } from "../kit/PlanChanges";
import { duration } from "../videos/words";
import "./farm.css";

type Operation = "accept" | "reject" | "drain" | "undrain" | "retire";

/** Operation, label, permission, and the states of a machine in which it is offered. */
const OPERATIONS: [operation: Operation, name: MessageDescriptor, permission: string, offered: (state: string) => boolean][] = [
  ["accept", msg`Accept`, "machine:accept", (state) => state === "discovered"],
  ["reject", msg`Reject`, "machine:accept", (state) => state === "discovered" || state === "accepted"],
  ["drain", msg`Drain`, "machine:drain", (state) => state === "ready"],
  ["undrain", msg`Take work again`, "machine:drain", (state) => state === "draining"],
  ["retire", msg`Retire`, "machine:retire", (state) => !["discovered", "accepted", "retired"].includes(state)],
];

export function MachineOperations({ machine, me }: { machine: Machine; me: Me }) {
  const [open, setOpen] = useState<Operation | null>(null);
  const close = () => setOpen(null);
  return (
    <span className="row ends">
      {OPERATIONS.map(
        ([operation, name, permission, offered]) =>
          me.permissions.includes(permission) &&
          offered(machine.state) && (
            <button
              key={operation}
              type="button"
              className={operation === "retire" ? "danger" : undefined}
              aria-label={`${i18n.t(name)} ${machine.name}`}
              onClick={() => setOpen(operation)}
            >
              {i18n.t(name)}
            </button>
          ),
      )}
      {open === "accept" && <Accept machine={machine} onClose={close} />}
      {open === "reject" && <Reject machine={machine} onClose={close} />}
      {(open === "drain" || open === "undrain") && <Drain machine={machine} operation={open} onClose={close} />}
      {open === "retire" && <Retire machine={machine} onClose={close} />}
    </span>
  );
}

interface Dialog {
  machine: Machine;
  onClose: () => void;
}

/** A machine, or the node that one is in the farm. */
type Named = Pick<Machine, "id" | "name">;

/** Runs a request of a dialog: closes the dialog on success, and reloads machines and nodes in any case. */
export function useOperation(mutate: () => Promise<unknown>, onClose: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: mutate,
    onSuccess: onClose,
    onSettled: () => Promise.all(["machines", "nodes"].map((key) => queries.invalidateQueries({ queryKey: [key] }))),
  });
}

export const machineParams = (machine: Named) => ({ path: { name: machine.id } });

/** Confirmation is bound to the key fingerprint shown: a new key needs a new comparison. */
function Accept({ machine, onClose }: Dialog) {
  const [keyFingerprint, setKeyFingerprint] = useState(machine.code);
  const [name, setName] = useState(machine.name);
  const changed = machine.code !== keyFingerprint;
  const accept = useOperation(
    () =>
      api.POST("/api/farm/machines/{name}/accept", {
        params: machineParams(machine),
        body: { ...(keyFingerprint && { code: keyFingerprint }), ...(name !== machine.name && { name }) },
      }),
    onClose,
  );
  return (
    <Confirm
      title={t`Accept ${machine.name}?`}
      confirmLabel={changed ? t`Use the new code` : t`Accept this machine`}
      busy={accept.isPending}
      error={accept.error}
      onConfirm={() => {
        if (!changed) return accept.mutate();
        accept.reset();
        setKeyFingerprint(machine.code);
      }}
      onClose={onClose}
    >
      <p>{t`Compare this code with the one on the machine's own screen:`}</p>
      <p className="key-code mono">{keyFingerprint || t`It has shown no key.`}</p>
      {changed && (
        <p className="problem" role="alert">
          <Trans>
            It reports with another key now, and its code is <code>{machine.code}</code>. Accept it only when its screen shows
            that.
          </Trans>
        </p>
      )}
      <PlanPreview machine={machine} action="accept" />
      <Field
        of={Acceptance}
        name="name"
        label={t`Name`}
        patternWords={t`A host name: small letters, digits and hyphens inside.`}
        value={name}
        onChange={setName}
        required
      />
    </Confirm>
  );
}

function Reject({ machine, onClose }: Dialog) {
  const reject = useOperation(() => api.POST("/api/farm/machines/{name}/reject", { params: machineParams(machine) }), onClose);
  return (
    <Confirm
      title={t`Reject ${machine.name}?`}
      confirmLabel={t`Reject this machine`}
      danger
      busy={reject.isPending}
      error={reject.error}
      onConfirm={() => reject.mutate()}
      onClose={onClose}
    >
      <p>{t`Nothing is written to it, and it is not enrolled.`}</p>
    </Confirm>
  );
}

export function Drain({ machine, operation, onClose }: { machine: Named; operation: "drain" | "undrain"; onClose: () => void }) {
  const plan = usePlan(machine, operation);
  const drain = useOperation(() => {
    const request = { params: machineParams(machine), body: { plan: plan.data?.sha256 ?? null } };
    return operation === "drain"
      ? api.POST("/api/farm/machines/{name}/drain", request)
      : api.POST("/api/farm/machines/{name}/undrain", request);
  }, onClose);
  return (
    <Confirm
      title={operation === "drain" ? t`Drain ${machine.name}?` : t`Let ${machine.name} take work again?`}
      confirmLabel={operation === "drain" ? t`Drain this machine` : t`Take work again`}
      busy={drain.isPending || !plan.data}
      error={drain.error}
      onConfirm={() => drain.mutate()}
      onClose={onClose}
    >
      <PlanPreview machine={machine} action={operation} />
    </Confirm>
  );
}

/** Always drains and wipes the machine; the steps of the plan say so. */
function Retire({ machine, onClose }: Dialog) {
  const [typed, setTyped] = useState("");
  const field = useId();
  const plan = useQuery({
    queryKey: ["machine-plan", machine.id, "retire"],
    queryFn: () => body(api.GET("/api/farm/machines/{name}/retire", { params: machineParams(machine) })),
    staleTime: 0,
  });
  const retire = useOperation(
    () =>
      api.POST("/api/farm/machines/{name}/retire", {
        params: machineParams(machine),
        body: { confirm: typed, plan: plan.data?.digest ?? null, wipe: true, drain: true, reason: "" },
      }),
    onClose,
  );
  return (
    <Confirm
      title={t`Retire ${machine.name}?`}
      confirmLabel={t`Retire this machine`}
      danger
      busy={retire.isPending || !plan.data || typed !== machine.name}
      error={retire.error}
      onConfirm={() => retire.mutate()}
      onClose={onClose}
    >
      <NoPlan of={plan} />
      <ul className="changes">
        {plan.data?.steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ul>
      <label htmlFor={field}>
        <Trans>
          Type <strong>{machine.name}</strong> to agree
        </Trans>
      </label>
      <input id={field} value={typed} autoComplete="off" onChange={(event) => setTyped(event.target.value)} />
    </Confirm>
  );
}

type PlannedOperation = "accept" | "drain" | "undrain";

const usePlan = (machine: Named, action: PlannedOperation) =>
  useQuery({
    queryKey: ["machine-plan", machine.id, action],
    queryFn: () => body(api.GET("/api/farm/machines/{name}/plan", { params: { path: { name: machine.id }, query: { action } } })),
    staleTime: 0,
  });

function PlanPreview({ machine, action }: { machine: Named; action: PlannedOperation }) {
  const plan = usePlan(machine, action);
  if (plan.error || !plan.data) return <NoPlan of={plan} />;
  return (
    <div>
      <h3>{t`What would change`}</h3>
      <PlanChanges of={plan.data.changes} />
      {plan.data.seconds != null && <p className="quiet">{t`It takes about ${duration(plan.data.seconds)}.`}</p>}
    </div>
  );
}
