/** Machines and runs as tables. What changes them is said in the conversation. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";
import { Empty, State, Trouble } from "../kit/kit";
import { when } from "../videos/words";

export function MachinesView() {
  const list = useQuery({ queryKey: ["machines"], queryFn: () => body(api.GET("/api/farm/machines")), refetchInterval: 5000 });
  return (
    <div className="stack">
      <h1>Machines</h1>
      {list.error && <Trouble error={list.error} />}
      {list.data?.length === 0 && (
        <Empty>No machine yet. One that boots from the network appears here and waits to be accepted.</Empty>
      )}
      {(list.data?.length ?? 0) > 0 && (
        <div className="table">
          <table>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">State</th>
                <th scope="col">Pool</th>
                <th scope="col">Address</th>
                <th scope="col">Code</th>
                <th scope="col">Seen</th>
              </tr>
            </thead>
            <tbody>
              {list.data?.map((one) => (
                <tr key={one.id}>
                  <th scope="row">{one.name}</th>
                  <td>
                    <State of={one.state} />
                    {one.cause && (
                      <div className="quiet">
                        {one.cause} {one.hint}
                      </div>
                    )}
                  </td>
                  <td>{one.pool}</td>
                  <td className="mono">{one.address ?? "–"}</td>
                  <td className="mono">{one.code}</td>
                  <td>{when(one.seen_at)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

export function RunsView() {
  const list = useQuery({ queryKey: ["runs"], queryFn: () => body(api.GET("/api/farm/runs")), refetchInterval: 5000 });
  return (
    <div className="stack">
      <h1>Runs</h1>
      {list.error && <Trouble error={list.error} />}
      {list.data?.length === 0 && <Empty>No run yet. Each time Ansible works on machines, it appears here.</Empty>}
      {(list.data?.length ?? 0) > 0 && (
        <div className="table">
          <table>
            <thead>
              <tr>
                <th scope="col">Playbook</th>
                <th scope="col">State</th>
                <th scope="col">Machines</th>
                <th scope="col">By</th>
                <th scope="col">Began</th>
              </tr>
            </thead>
            <tbody>
              {list.data?.map((one) => (
                <tr key={one.id}>
                  <th scope="row">
                    {one.playbook}
                    {one.check && " (dry run)"}
                  </th>
                  <td>
                    <State of={one.state} />
                    {one.cause && (
                      <div className="quiet">
                        {one.cause} {one.hint}
                      </div>
                    )}
                  </td>
                  <td>{one.machines.map((machine) => machine.name).join(", ")}</td>
                  <td>{one.requested_by}</td>
                  <td>{when(one.created_at)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
