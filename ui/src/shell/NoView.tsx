/** What stands where a view cannot: there is none at the address, it broke, or it needs a right that is not there. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { Problem } from "../api/problem";
import { ErrorNotice } from "../kit/kit";
import { BrokenView, problemFor } from "../kit/Uncaught";

export function NoSuchView() {
  return (
    <div className="stack">
      <h1>{t`Page not found`}</h1>
      <p>
        {t`It may be mistyped, or from another version of the page.`} <Link to="/">{t`New video`}</Link>
      </p>
    </div>
  );
}

export const ViewProblem = ({ error }: { error: unknown }) => <BrokenView problem={problemFor(error)} />;

export function NoRight({ name, permission }: { name: string; permission: string }) {
  const problem = new Problem(
    t`Your key has no right to ${name}.`,
    "page.no_permission",
    t`Somebody with the right key:create can give you a key with ${permission}.`,
  );
  return (
    <div className="stack">
      <h1>{name}</h1>
      <ErrorNotice error={problem} />
    </div>
  );
}
