/** Where the server wants a key: it is changed for a cookie that no script can read. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import { Trouble } from "../kit/kit";

export function Login() {
  const queries = useQueryClient();
  const [key, setKey] = useState("");
  const login = useMutation({
    mutationFn: () => api.POST("/api/login", { body: { key } }),
    onSuccess: () => queries.resetQueries(),
  });
  return (
    <main className="login">
      <form
        className="card"
        onSubmit={(event) => {
          event.preventDefault();
          login.mutate();
        }}
      >
        <h1>A key, please</h1>
        <p className="quiet">
          This server wants an API key. <code>soundstage up</code> printed one at its first start;{" "}
          <code>soundstage keys create</code> makes another.
        </p>
        <label htmlFor="key-value">API key</label>
        <input
          id="key-value"
          type="password"
          autoComplete="off"
          required
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        {login.error && <Trouble error={login.error} />}
        <div className="row">
          <button className="primary" type="submit" disabled={login.isPending}>
            Use this key
          </button>
        </div>
      </form>
    </main>
  );
}
