/** What a person may do with a machine, each with the plan shown before it is done. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api, body, type Machine, type Me } from "../api/client";
import { Confirm } from "../kit/Confirm";
import { Trouble } from "../kit/kit";
import { duration } from "../videos/words";

type Act = "accept" | "reject" | "drain" | "undrain" | "retire";

/** The act, its name, what it needs, and in which states of a machine it is offered. */
const ACTS: [act: Act, name: string, permission: string, offered: (state: string) => boolean][] = [
  ["accept", "Accept", "machine:accept", (state) => state === "discovered"],
  ["reject", "Reject", "machine:accept", (state) => state === "discovered" || state === "accepted"],
  ["drain", "Drain", "machine:drain", (state) => state === "ready"],
  ["undrain", "Take work again", "machine:drain", (state) => state === "draining"],
  ["retire", "Retire", "machine:retire", (state) => !["discovered", "accepted", "retired"].includes(state)],
];

export function MachineActs({ machine, me }: { machine: Machine; me: Me }) {
  const [open, setOpen] = useState<Act | null>(null);
  const close = () => setOpen(null);
  return (
    <span className="row ends">
      {ACTS.map(
        ([act, name, permission, offered]) =>
          me.permissions.includes(permission) &&
          offered(machine.state) && (
            <button
              key={act}
              type="button"
              className={act === "retire" ? "danger" : undefined}
              aria-label={`${name} ${machine.name}`}
              onClick={() => setOpen(act)}
            >
              {name}
            </button>
          ),
      )}
      {open === "accept" && <Accept machine={machine} onClose={close} />}
      {open === "reject" && <Reject machine={machine} onClose={close} />}
      {(open === "drain" || open === "undrain") && <Drain machine={machine} act={open} onClose={close} />}
      {open === "retire" && <Retire machine={machine} onClose={close} />}
    </span>
  );
}

interface Dialog {
  machine: Machine;
  onClose: () => void;
}

/** Closes the dialog when it is done; the list is asked for again whatever came of it. */
export function useAct(act: () => Promise<unknown>, onClose: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: act,
    onSuccess: onClose,
    onSettled: () => queries.invalidateQueries({ queryKey: ["machines"] }),
  });
}

export const at = (machine: Machine) => ({ path: { name: machine.id } });

/** The yes holds for the key whose code the person has compared: a new one is never taken in its place unseen. */
function Accept({ machine, onClose }: Dialog) {
  const [code, setCode] = useState(machine.code);
  const [name, setName] = useState(machine.name);
  const field = useId();
  const changed = machine.code !== code;
  const accept = useAct(
    () =>
      api.POST("/api/farm/machines/{name}/accept", {
        params: at(machine),
        body: { ...(code && { code }), ...(name !== machine.name && { name }) },
      }),
    onClose,
  );
  return (
    <Confirm
      title={`Accept ${machine.name}?`}
      act={changed ? "Use the new code" : "Accept this machine"}
      busy={accept.isPending}
      error={accept.error}
      onConfirm={() => {
        if (!changed) return accept.mutate();
        accept.reset();
        setCode(machine.code);
      }}
      onClose={onClose}
    >
      <p>Compare this code with the one on the machine's own screen:</p>
      <p className="key-code mono">{code || "It has shown no key."}</p>
      {changed && (
        <p className="problem" role="alert">
          It reports with another key now, and its code is <code>{machine.code}</code>. Accept it only when its screen shows that.
        </p>
      )}
      <PlanOf machine={machine} action="accept" />
      <label htmlFor={field}>Name</label>
      <input id={field} value={name} maxLength={63} onChange={(event) => setName(event.target.value)} />
    </Confirm>
  );
}

function Reject({ machine, onClose }: Dialog) {
  const reject = useAct(() => api.POST("/api/farm/machines/{name}/reject", { params: at(machine) }), onClose);
  return (
    <Confirm
      title={`Reject ${machine.name}?`}
      act="Reject this machine"
      danger
      busy={reject.isPending}
      error={reject.error}
      onConfirm={() => reject.mutate()}
      onClose={onClose}
    >
      <p>Nothing is written to it, and it is not enrolled.</p>
    </Confirm>
  );
}

function Drain({ machine, act, onClose }: Dialog & { act: "drain" | "undrain" }) {
  const plan = usePlan(machine, act);
  const drain = useAct(() => {
    const asked = { params: at(machine), body: { plan: plan.data?.sha256 ?? null } };
    return act === "drain"
      ? api.POST("/api/farm/machines/{name}/drain", asked)
      : api.POST("/api/farm/machines/{name}/undrain", asked);
  }, onClose);
  return (
    <Confirm
      title={act === "drain" ? `Drain ${machine.name}?` : `Let ${machine.name} take work again?`}
      act={act === "drain" ? "Drain this machine" : "Take work again"}
      busy={drain.isPending || !plan.data}
      error={drain.error}
      onConfirm={() => drain.mutate()}
      onClose={onClose}
    >
      <PlanOf machine={machine} action={act} />
    </Confirm>
  );
}

function Retire({ machine, onClose }: Dialog) {
  const [typed, setTyped] = useState("");
  const field = useId();
  const plan = useQuery({
    queryKey: ["machine-plan", machine.id, "retire"],
    queryFn: () => body(api.GET("/api/farm/machines/{name}/retire", { params: at(machine) })),
    staleTime: 0,
  });
  const retire = useAct(
    () =>
      api.POST("/api/farm/machines/{name}/retire", {
        params: at(machine),
        body: { confirm: typed, plan: plan.data?.digest ?? null, wipe: true, drain: true, reason: "" },
      }),
    onClose,
  );
  return (
    <Confirm
      title={`Retire ${machine.name}?`}
      act="Retire this machine"
      danger
      busy={retire.isPending || !plan.data || typed !== machine.name}
      error={retire.error}
      onConfirm={() => retire.mutate()}
      onClose={onClose}
    >
      {plan.error && <Trouble error={plan.error} />}
      {!plan.data && !plan.error && <p className="quiet">Working out what would happen</p>}
      <ul className="changes">
        {plan.data?.steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ul>
      <label htmlFor={field}>
        Type <strong>{machine.name}</strong> to agree
      </label>
      <input id={field} value={typed} autoComplete="off" onChange={(event) => setTyped(event.target.value)} />
    </Confirm>
  );
}

type Planned = "accept" | "drain" | "undrain";

const usePlan = (machine: Machine, action: Planned) =>
  useQuery({
    queryKey: ["machine-plan", machine.id, action],
    queryFn: () => body(api.GET("/api/farm/machines/{name}/plan", { params: { path: { name: machine.id }, query: { action } } })),
    staleTime: 0,
  });

function PlanOf({ machine, action }: { machine: Machine; action: Planned }) {
  const plan = usePlan(machine, action);
  if (plan.error) return <Trouble error={plan.error} />;
  if (!plan.data) return <p className="quiet">Working out what would happen</p>;
  return (
    <div>
      <h3>What would change</h3>
      <ul className="changes">
        {plan.data.changes.map((one) => (
          <li key={`${one.what}${one.where}`}>
            {one.what}
            {one.where && <span className="where">{one.where}</span>}
          </li>
        ))}
      </ul>
      {plan.data.seconds != null && <p className="quiet">It takes about {duration(plan.data.seconds)}.</p>}
    </div>
  );
}
